"""Local leaderboards that recompute what they show.

Read `submit` first: it reads and verifies a run (`checks`) and stores it (`storage`). `columns` declares the
figures beside the score, and `pages` displays boards in a browser, in the terminal and as files.
"""
