using System.Text;
using BenchmarkDotNet.Attributes;
using DynamicSharding.Config;
using DynamicSharding.Routing;

namespace DynamicSharding.Benchmarks;

/// <summary>
/// The most expensive paths within the default limit of the request line. An iteration has too few of them to average out the harness's own
/// allocations, so a unit test shows that they allocate nothing.
/// </summary>
[BenchmarkCategory(AllocationGate.NotGated)]
public class HostilePaths
{
    private const string Prefix = "/metrics/job/a";

    private GroupingKey _key = null!;
    private byte[] _path = null!;

    protected virtual int Length => 8192;

    [Params(Form.ShuffledLabels, Form.SharedNamePrefix, Form.Duplicates, Form.AllEscaped, Form.AllBase64, Form.AllHighBytes)]
    public Form Shape { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _key = new GroupingKey(ShardingKey.Group, Length);
        _path = Make();
    }

    [Benchmark]
    public uint Compute()
    {
        _key.Compute(_path, out _);
        return _key.Hash;
    }

    private byte[] Make()
    {
        var random = new Random(3);
        int room = Length - Prefix.Length;
        switch (Shape)
        {
            case Form.ShuffledLabels:
                return Labels("", 3);
            case Form.SharedNamePrefix:
                return Labels("twelve_bytes", 3);
            case Form.Duplicates:
                return Bytes(string.Concat(Enumerable.Repeat("/b/1/a/2", room / 8)));
            case Form.AllEscaped:
                return Bytes("/x/" + string.Concat(Enumerable.Repeat("%C3%A9", (room - 3) / 6)));
            case Form.AllBase64:
                return Bytes("/x@base64/" + string.Concat(Enumerable.Range(0, room - 10).Select(_ => (char)random.Next('a', 'z' + 1))));
            default:
                return [.. Bytes("/x/"), .. Enumerable.Repeat((byte)0xE9, room - 3)];
        }

        // Distinct names of the given length in random order, each with a value of one byte.
        byte[] Labels(string namePrefix, int digits)
        {
            const string Alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTVWXYZ";
            int count = room / (namePrefix.Length + digits + 3);
            string[] names = [.. Enumerable.Range(0, count).Select(i =>
                $"/{namePrefix}{Alphabet[i % 51]}{Alphabet[i / 51 % 51]}{Alphabet[i / 2601 % 51]}/1")];
            random.Shuffle(names);
            return Bytes(string.Concat(names));
        }

        static byte[] Bytes(string labels) => Encoding.ASCII.GetBytes(Prefix + labels);
    }

    public enum Form
    {
        ShuffledLabels,
        SharedNamePrefix,
        Duplicates,
        AllEscaped,
        AllBase64,
        AllHighBytes,
    }
}

/// <summary>Eight times the length: shows that the cost grows nearly linearly.</summary>
public class LongHostilePaths : HostilePaths
{
    protected override int Length => 65536;
}
