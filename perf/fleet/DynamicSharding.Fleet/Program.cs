using System.Text.Json;
using DynamicSharding.Fleet;

// DynamicSharding.Fleet SETTINGS: the edges that the file names, in this process. A command per line on standard input, a JSON object per line in
// response; ends with its input, so that it cannot outlive what drives it.
FleetSettings settings = JsonSerializer.Deserialize<FleetSettings>(await File.ReadAllTextAsync(args[0]), FleetJson.Options)!;
await using var fleet = new SimulatedFleet(settings, TimeProvider.System);
await Console.Out.WriteLineAsync("{}");
while (await Console.In.ReadLineAsync() is { } line)
{
    object? response = await fleet.ExecuteAsync(JsonSerializer.Deserialize<FleetCommand>(line, FleetJson.Options)!);
    await Console.Out.WriteLineAsync(JsonSerializer.Serialize(response ?? new object(), FleetJson.Options));
}
