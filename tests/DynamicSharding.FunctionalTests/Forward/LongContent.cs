using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>Content that is made where it is sent, and hashed where it arrives.</summary>
internal static class LongContent
{
    public const int Piece = 64 * 1024;

    /// <param name="length">Whole pieces.</param>
    /// <param name="isChunked">Each piece is a chunk.</param>
    /// <param name="onSent">Called after each piece.</param>
    public static async Task SendAsync(Socket socket, string head, int client, long length, bool isChunked, Action onSent, CancellationToken cancellation = default)
    {
        await SendAllAsync(Encoding.Latin1.GetBytes(head));
        byte[] piece = new byte[Piece];
        for (long at = 0; at < length; at += Piece)
        {
            Fill(piece, client, at);
            if (isChunked) await SendAllAsync(Encoding.Latin1.GetBytes($"{Piece:x}\r\n"));
            await SendAllAsync(piece);
            if (isChunked) await SendAllAsync("\r\n"u8.ToArray());
            onSent();
        }

        if (isChunked) await SendAllAsync("0\r\n\r\n"u8.ToArray());

        async Task SendAllAsync(ReadOnlyMemory<byte> bytes)
        {
            while (bytes.Length > 0) bytes = bytes[await socket.SendAsync(bytes, cancellation)..];
        }
    }

    /// <summary>No eight bytes of any content are the same: a byte too many, too few or of another client changes the hash.</summary>
    /// <param name="piece">Whole numbers of eight bytes.</param>
    /// <param name="at">Where in the content it begins.</param>
    private static void Fill(Span<byte> piece, int client, long at)
    {
        Span<long> numbers = MemoryMarshal.Cast<byte, long>(piece);
        for (int i = 0; i < numbers.Length; i++) numbers[i] = ((long)client << 56) + (at / 8) + i;
    }

    public static string HashOf(int client, long length)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] piece = new byte[Piece];
        for (long at = 0; at < length; at += Piece)
        {
            Fill(piece, client, at);
            hash.AppendData(piece);
        }

        return Convert.ToHexString(hash.GetHashAndReset());
    }
}
