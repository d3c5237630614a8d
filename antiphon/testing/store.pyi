from testing.store import *
