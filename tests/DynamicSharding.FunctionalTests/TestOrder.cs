// Several tests measure how fast a fault is noticed, and some need ports of a given number: one test at a time.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
