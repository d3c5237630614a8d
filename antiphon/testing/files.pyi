from testing.files import *
