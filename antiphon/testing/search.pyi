from testing.search import *
