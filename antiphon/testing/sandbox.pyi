from testing.sandbox import *
