using System.Net;
using Microsoft.AspNetCore.Server.Kestrel.Core;

// One middleware, no routing, no logging: a 307 for every request.
WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
{
    kestrel.AddServerHeader = false;
    kestrel.Listen(IPAddress.Loopback, int.Parse(args[0], System.Globalization.CultureInfo.InvariantCulture), listen => listen.Protocols = HttpProtocols.Http1);
});
WebApplication app = builder.Build();
app.Run(context =>
{
    context.Response.StatusCode = StatusCodes.Status307TemporaryRedirect;
    context.Response.ContentLength = 0;
    context.Response.Headers.Location = "http://127.0.0.1:9091" + context.Request.Path.Value;
    return Task.CompletedTask;
});
app.Run();
