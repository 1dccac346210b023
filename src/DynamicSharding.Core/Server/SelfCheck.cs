using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Security.Authentication;
using System.Text;
using DynamicSharding.Config;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Server;

/// <summary>
/// Sends a lookup like a client: once to the listener's address, which one of the loops accepts, and once to every loop over a socket pair. For the
/// watchdog; never runs on a loop's thread.
/// </summary>
/// <param name="tls">Of the listener; null for plain TCP.</param>
/// <param name="proxyProtocol">What the listener wants connections to begin with.</param>
/// <param name="pathPrefix">Of the paths of pushes, or empty.</param>
/// <param name="hasUsers">Lookups need a password, so that the check asks for readiness instead.</param>
/// <param name="rejects">Does not note what is refused to this check.</param>
internal sealed class SelfCheck(
    IPEndPoint listener, Func<SslServerAuthenticationOptions>? tls, ProxyProtocol proxyProtocol, EventLoop[] loops, ConnectionLimit limit, string pathPrefix, Func<bool> hasUsers,
    RejectLog rejects, ILogger connectionLogger)
{
    private readonly byte[] _lookup = Request(pathPrefix + "/metrics/job/dynamic-sharding-watchdog");
    private readonly byte[] _ready = Request("/-/ready");

    /// <returns>Null if the listener and every loop responded; otherwise what did not.</returns>
    public async Task<string?> RunAsync(CancellationToken cancellation)
    {
        string target = $"the data listener {listener}";
        try
        {
            if (await CheckListenerAsync(cancellation).ConfigureAwait(false) is { } refused) return $"{target} {refused}";

            for (int i = 0; i < loops.Length; i++)
            {
                target = $"event loop {i}";
                if (await CheckLoopAsync(loops[i], cancellation).ConfigureAwait(false) is { } problem) return $"{target} {problem}";
            }

            return null;
        }
        catch (Exception error) when (error is SocketException or IOException or AuthenticationException)
        {
            return $"{target} is not reachable: {error.Message}";
        }
        catch (OperationCanceledException)
        {
            return $"{target} does not respond";
        }
    }

    private async Task<string?> CheckListenerAsync(CancellationToken cancellation)
    {
        try
        {
            using Socket client = await ConnectAsync(cancellation).ConfigureAwait(false);
            return await LookUpAtListenerAsync(client, cancellation).ConfigureAwait(false);
        }
        catch (Exception error) when (rejects.HasRefusedOwn && error is (SocketException or IOException or AuthenticationException))
        {
            // Too many connections: a 503 that TLS does not carry, or that a reset has destroyed because more was sent behind a proxy's header.
            return null;
        }
        finally
        {
            rejects.Own = null; // a client may get the port next
        }
    }

    private async Task<Socket> ConnectAsync(CancellationToken cancellation)
    {
        if (listener.Address.Equals(IPAddress.Any)) return await ConnectAsync(IPAddress.Loopback, cancellation).ConfigureAwait(false);
        if (!listener.Address.Equals(IPAddress.IPv6Any)) return await ConnectAsync(listener.Address, cancellation).ConfigureAwait(false);
        try
        {
            return await ConnectAsync(IPAddress.IPv6Loopback, cancellation).ConfigureAwait(false);
        }
        catch (SocketException)
        {
            // A machine may have IPv6 but not ::1. The socket is dual-stack, unless socket activation made it IPv6-only.
            return await ConnectAsync(IPAddress.Loopback, cancellation).ConfigureAwait(false);
        }
    }

    private async Task<Socket> ConnectAsync(IPAddress address, CancellationToken cancellation)
    {
        var client = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            NameItself(client, address);
            await client.ConnectAsync(new IPEndPoint(address, listener.Port), cancellation).ConfigureAwait(false);
            return client;
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    /// <summary>Before it connects, because it may be refused before this thread runs again.</summary>
    private void NameItself(Socket client, IPAddress address)
    {
        try
        {
            client.Bind(new IPEndPoint(address, 0));
            rejects.Own = (IPEndPoint)client.LocalEndPoint!;
        }
        catch (SocketException)
        {
            // No free port to be had this way, or an address that routing brings here. The check matters more than who it was.
            rejects.Own = null;
        }
    }

    private async Task<string?> CheckLoopAsync(EventLoop loop, CancellationToken cancellation)
    {
        Socket client = ConnectedSocket(out int served);
        using (client)
        {
            loop.Post(() => Serve(loop, served, cancellation.IsCancellationRequested));
            using var stream = new NetworkStream(client);
            return await LookUpAsync(stream, cancellation).ConfigureAwait(false);
        }
    }

    private async Task<string?> LookUpAtListenerAsync(Socket client, CancellationToken cancellation)
    {
        using var stream = new NetworkStream(client);
        if (proxyProtocol != ProxyProtocol.Off) await stream.WriteAsync(ProxyHeader.Own(proxyProtocol).ToArray(), cancellation).ConfigureAwait(false);
        if (tls is null) return await LookUpAsync(stream, cancellation).ConfigureAwait(false);

        // Whoever it is, it is this process: what counts is that it responds.
        var secure = new SslStream(stream, leaveInnerStreamOpen: true, static (_, shown, _, _) => shown is not null);
        await using (secure.ConfigureAwait(false))
        {
            try
            {
                await secure.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "watchdog" }, cancellation).ConfigureAwait(false);
                string? problem = await LookUpAsync(secure, cancellation).ConfigureAwait(false);
                return tls().ClientCertificateRequired ? null : problem;
            }
            catch (Exception e) when (e is AuthenticationException or IOException && tls().ClientCertificateRequired)
            {
                // There is no certificate of a client here; the refusal is a response.
                return null;
            }
        }
    }

    private static unsafe Socket ConnectedSocket(out int other)
    {
        int* pair = stackalloc int[2];
        if (LibC.SocketPair(LibC.AF_UNIX, LibC.SOCK_STREAM | LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC, 0, pair) < 0)
        {
            throw new SocketException(Marshal.GetLastPInvokeError());
        }

        other = pair[1];
        return new Socket(new SafeSocketHandle(pair[0], ownsHandle: true));
    }

    /// <summary>On the loop's thread: serves the socket like an accepted connection.</summary>
    private void Serve(EventLoop loop, int fd, bool canceled)
    {
        if (canceled)
        {
            _ = LibC.Close(fd);
            return;
        }

        // May exceed the connection limit, which is for clients: a full loop is not stuck.
        limit.Enter();
        loop.Context.Counters.CountAccept();
        new Connection(loop, limit, DataServer.NewRedirectSession, connectionLogger) { IsOwn = true }.Start(fd);
    }

    /// <summary>503 is fine, too: a restart would help neither against too many connections nor against missing gateways.</summary>
    private async Task<string?> LookUpAsync(Stream client, CancellationToken cancellation)
    {
        await client.WriteAsync(hasUsers() ? _ready : _lookup, cancellation).ConfigureAwait(false);
        var buffer = new byte[512];
        int length = 0;
        while (length < buffer.Length)
        {
            int read = await client.ReadAsync(buffer.AsMemory(length), cancellation).ConfigureAwait(false);
            if (read == 0) break;
            length += read;
        }

        ReadOnlySpan<byte> response = buffer.AsSpan(0, length);
        if (response.StartsWith("HTTP/1.1 200 "u8) || response.StartsWith("HTTP/1.1 503 "u8)) return null;
        int line = response.IndexOf("\r\n"u8);
        return line < 0 ? "closed the connection without a response" : "responds with " + Encoding.ASCII.GetString(response[..line]);
    }

    private static byte[] Request(string target) => Encoding.ASCII.GetBytes($"GET {target} HTTP/1.1\r\nHost: watchdog\r\nConnection: close\r\n\r\n");
}
