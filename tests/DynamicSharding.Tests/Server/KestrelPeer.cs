using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Tests.Server;

/// <summary>Kestrel in this process: responds with 307 to every request that it accepts, and names the request.</summary>
internal sealed class KestrelPeer : IAsyncDisposable
{
    private readonly WebApplication _application;
    private readonly IPEndPoint _endPoint;

    private KestrelPeer(WebApplication application)
    {
        _application = application;
        string address = application.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        _endPoint = IPEndPoint.Parse(new Uri(address).Authority);
    }

    public static async Task<KestrelPeer> StartAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(options =>
        {
            options.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http1);
            options.AddServerHeader = false;
        });
        WebApplication application = builder.Build();
        application.Run(context =>
        {
            context.Response.StatusCode = StatusCodes.Status307TemporaryRedirect;
            context.Response.Headers.Location = Uri.EscapeDataString(context.Features.Get<IHttpRequestFeature>()!.RawTarget);
            return Task.CompletedTask;
        });
        await application.StartAsync();
        return new KestrelPeer(application);
    }

    /// <summary>Its responses to the stream, until it closes or is silent for the given time.</summary>
    public async Task<List<ResponseText>> AnswersAsync(byte[] stream, TimeSpan silence)
    {
        using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(_endPoint);
        byte[] buffer = new byte[8192];
        int length = 0;
        try
        {
            for (int sent = 0; sent < stream.Length;) sent += await socket.SendAsync(stream.AsMemory(sent));
            using CancellationTokenSource cancellation = new();
            int count;
            do
            {
                cancellation.CancelAfter(silence);
                count = await socket.ReceiveAsync(buffer.AsMemory(length), cancellation.Token);
                length += count;
            }
            while (count > 0);
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            // A reset after a reject, or a server that waits for more.
        }

        // Its responses have no content.
        return ResponseText.Split(Encoding.Latin1.GetString(buffer, 0, length).Replace("\r\n\r\n", "\r\nX: x\r\n\r\n", StringComparison.Ordinal));
    }

    public async ValueTask DisposeAsync() => await _application.DisposeAsync();
}
