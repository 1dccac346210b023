using DynamicSharding;

StandardDescriptors.Hold();
return await CommandLine.RunAsync(args, Console.Out, Console.Error, Console.OpenStandardError());
