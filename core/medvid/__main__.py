"""`python -m medvid` is the same as the command `platform`."""

import sys

from medvid.cli.main import main

sys.exit(main())
