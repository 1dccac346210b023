using System.Buffers.Binary;
using System.Numerics;
using System.Security.Cryptography;

namespace DynamicSharding.Web;

/// <summary>
/// SipHash-2-4 with 128 bits of output (Aumasson and Bernstein, 2012): without the key nobody can make two inputs with one hash, or an input for
/// a hash. For short inputs that come with every request: HMAC-SHA-256 takes many times as long.
/// </summary>
internal sealed class KeyedHash
{
    public const int Length = 16;

    private readonly ulong _key0;
    private readonly ulong _key1;

    /// <param name="key">16 bytes.</param>
    public KeyedHash(ReadOnlySpan<byte> key)
    {
        _key0 = BinaryPrimitives.ReadUInt64LittleEndian(key);
        _key1 = BinaryPrimitives.ReadUInt64LittleEndian(key[sizeof(ulong)..]);
    }

    /// <summary>With a key that nobody knows.</summary>
    public static KeyedHash NewRandom() => new(RandomNumberGenerator.GetBytes(16));

    /// <param name="output">16 bytes.</param>
    public void Write(ReadOnlySpan<byte> input, Span<byte> output)
    {
        // The constants spell "somepseudorandomlygeneratedbytes".
        var state = new State(
            _key0 ^ 0x736f6d6570736575, _key1 ^ 0x646f72616e646f6d ^ 0xee, _key0 ^ 0x6c7967656e657261, _key1 ^ 0x7465646279746573);
        ulong length = (ulong)input.Length << 56;
        for (; input.Length >= sizeof(ulong); input = input[sizeof(ulong)..]) state.Absorb(BinaryPrimitives.ReadUInt64LittleEndian(input));
        Span<byte> last = stackalloc byte[sizeof(ulong)];
        last.Clear();
        input.CopyTo(last);
        state.Absorb(length | BinaryPrimitives.ReadUInt64LittleEndian(last));
        BinaryPrimitives.WriteUInt64LittleEndian(output, state.FinishFirst());
        BinaryPrimitives.WriteUInt64LittleEndian(output[sizeof(ulong)..], state.FinishSecond());
    }

    private ref struct State(ulong v0, ulong v1, ulong v2, ulong v3)
    {
        private ulong _v0 = v0;
        private ulong _v1 = v1;
        private ulong _v2 = v2;
        private ulong _v3 = v3;

        public void Absorb(ulong word)
        {
            _v3 ^= word;
            Round();
            Round();
            _v0 ^= word;
        }

        public ulong FinishFirst()
        {
            _v2 ^= 0xee;
            return FourRounds();
        }

        public ulong FinishSecond()
        {
            _v1 ^= 0xdd;
            return FourRounds();
        }

        private ulong FourRounds()
        {
            for (int i = 0; i < 4; i++) Round();
            return _v0 ^ _v1 ^ _v2 ^ _v3;
        }

        private void Round()
        {
            _v0 += _v1;
            _v1 = BitOperations.RotateLeft(_v1, 13) ^ _v0;
            _v0 = BitOperations.RotateLeft(_v0, 32);
            _v2 += _v3;
            _v3 = BitOperations.RotateLeft(_v3, 16) ^ _v2;
            _v0 += _v3;
            _v3 = BitOperations.RotateLeft(_v3, 21) ^ _v0;
            _v2 += _v1;
            _v1 = BitOperations.RotateLeft(_v1, 17) ^ _v2;
            _v2 = BitOperations.RotateLeft(_v2, 32);
        }
    }
}
