using BenchmarkDotNet.Running;
using DynamicSharding.Benchmarks;

// check-allocations <expectations>: the gate of perf/check-allocations.sh. Anything else: BenchmarkDotNet's own arguments.
if (args is ["check-allocations", var expectations]) return AllocationGate.Run(expectations);
BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args, new QuickConfig());
return 0;
