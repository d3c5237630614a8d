from sandboxes import *
