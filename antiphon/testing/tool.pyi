from testing.tool import *
