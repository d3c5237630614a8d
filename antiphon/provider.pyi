from provider import *
