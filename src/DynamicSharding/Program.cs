using DynamicSharding;
using DynamicSharding.Systemd;

if (!Descriptors.Reserve())
{
    Descriptors.ReportShortage();
    return ExitCode.Failed;
}

NativeHeap.ReturnLargeBlocks();

// The name of a command comes first; the server has only flags. A command ends at the first signal, as other programs do.
bool isServer = args is [] or [['-', ..], ..];
if (isServer) Signals.Catch();
bool hasSockets = isServer && ActivationBackoff.HasSockets();
int exitCode = await CommandLine.RunAsync(args, Console.Out, Console.Error, Console.OpenStandardError());
if (hasSockets && exitCode == ExitCode.BadConfiguration) await ActivationBackoff.WaitAsync(TimeProvider.System);
return exitCode;
