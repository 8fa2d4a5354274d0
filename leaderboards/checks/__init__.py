"""The checks of a submission before it is stored. Nothing in it is trusted.

Read `submission` first: it reads a folder safely. Then read `verify`, which recomputes all figures with
`judgements`, and `leaks`, which compares the training data with the test set.
"""
