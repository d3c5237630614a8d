from testing.provider import *
