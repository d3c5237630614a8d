from items import *
