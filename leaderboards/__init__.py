"""Local leaderboards that recompute every figure that they show.

Read `submit` first: it reads and verifies a run (`checks`) and stores it (`storage`). `columns` declares the
columns of a board, and `pages` displays boards in a browser, in the terminal and as files.
"""
