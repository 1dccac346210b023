using System.Globalization;
using System.Text.Json;
using DynamicSharding.Cleanup.Gateways;
using Microsoft.AspNetCore.Server.Kestrel.Core;

// Gateways PORT COUNT GROUPS: COUNT gateways on 127.0.1.1, 127.0.1.2 and so on, with GROUPS groups each, as they are after the last gateway has
// joined and every group has been pushed once more. Writes READY and the number of stale copies; at SIGTERM, what was deleted, as JSON.
int port = int.Parse(args[0], CultureInfo.InvariantCulture);
int count = int.Parse(args[1], CultureInfo.InvariantCulture);
var gateways = GatewayStore.AfterScaleOut(port, count, groups: count * int.Parse(args[2], CultureInfo.InvariantCulture));

WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
{
    foreach (GatewayStore gateway in gateways.Values) kestrel.Listen(gateway.EndPoint, static listen => listen.Protocols = HttpProtocols.Http1);
});
WebApplication app = builder.Build();
app.Run(context => gateways[context.Connection.LocalIpAddress!].RespondAsync(context));
await app.StartAsync();
Console.WriteLine($"READY {gateways.Values.Sum(static gateway => gateway.StaleCopies)}");
await app.WaitForShutdownAsync();
Console.WriteLine(JsonSerializer.Serialize(new
{
    stale_left = gateways.Values.Sum(static gateway => gateway.StaleCopies),
    stale_deleted = gateways.Values.Sum(static gateway => gateway.DeletedStale),
    newest_deleted = gateways.Values.Sum(static gateway => gateway.DeletedNewest),
    bytes = gateways.Values.Sum(static gateway => gateway.SentBytes),
}));
