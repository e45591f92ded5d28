// The stand-in has one processor's worth of threads to share, and memory limits are the device's.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
