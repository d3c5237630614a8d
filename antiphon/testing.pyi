from testing import *
