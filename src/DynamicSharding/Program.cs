using DynamicSharding;

StandardDescriptors.Reserve();
try
{
    return await CommandLine.RunAsync(args, Console.Out, Console.Error, Console.OpenStandardError());
}
catch (Exception failure) when (DescriptorShortage.Explains(failure))
{
    DescriptorShortage.Tell();
    return ExitCode.Failed;
}
