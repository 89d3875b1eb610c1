"""Upload a run that has ended to W&B: python -m search.tracking DIR"""

import sys

from search.tracking.upload import main

sys.exit(main())
