using System.Net.Sockets;
using DynamicSharding.Server;

namespace DynamicSharding.Compare;

/// <summary>A minimal host of the product's session on the runtime's sockets: no deadlines, limits or durations.</summary>
internal static class SocketConnection
{
    [ThreadStatic]
    private static SessionContext? _context;

    public static async Task ServeAsync(Socket socket, Func<SessionContext> newContext)
    {
        SessionContext context = _context ??= newContext();
        var session = new HttpSession(context.Counters);
        byte[] input = new byte[16 * 1024];
        byte[] output = new byte[64 * 1024];
        int kept = 0;
        try
        {
            using (socket)
            {
                while (true)
                {
                    int received = await socket.ReceiveAsync(input.AsMemory(kept));
                    if (received == 0) return;
                    SessionStep step = session.Advance(
                        input.AsSpan(0, kept + received), context, output, out int consumed, out int written);
                    kept = kept + received - consumed;
                    if (kept > 0) input.AsSpan(consumed, kept).CopyTo(input);
                    if (written > 0) await socket.SendAsync(output.AsMemory(0, written));
                    if (step is SessionStep.Close or SessionStep.Linger) return;
                }
            }
        }
        catch (SocketException)
        {
            // The client is gone.
        }
    }
}
