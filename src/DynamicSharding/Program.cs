using DynamicSharding;

if (!Descriptors.Reserve())
{
    Descriptors.ReportShortage();
    return ExitCode.Failed;
}

// The name of a command comes first; the server has only flags. A command ends at the first signal, as other programs do.
if (args is [] or [['-', ..], ..]) Signals.Catch();
return await CommandLine.RunAsync(args, Console.Out, Console.Error, Console.OpenStandardError());
