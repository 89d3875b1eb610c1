"""Tell W&B of a run that has ended: python -m search.tracking DIR"""

import sys

from search.tracking.launcher import main

sys.exit(main())
