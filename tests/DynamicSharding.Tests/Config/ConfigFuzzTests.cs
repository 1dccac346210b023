using System.Text;
using CsCheck;
using DynamicSharding.Config;

namespace DynamicSharding.Tests.Config;

/// <summary>Whatever the file holds, loading it ends with options or with errors, never with an exception.</summary>
public sealed class ConfigFuzzTests
{
    private static readonly byte[] Example = File.ReadAllBytes(ConfigTestFile.RepositoryFile("config/dynamic-sharding.yml"));

    /// <summary>What YAML gives a meaning to, and words of the schema.</summary>
    private static readonly string[] Fragments =
    [
        "a", "log", "level", "pushgateway", "servers", "port", "1", "5s", ":", ": ", "- ", "\n", "\n  ", "\n    ", "[", "]", "{", "}", ",", "&x ", "*x", "!!str ",
        "!", "|", ">", "'", "\"", "#", " #", "%", "%YAML 1.2\n", "---\n", "...\n", "? ", "<<: ", "\t", "\0", "\\x", "\\u12", "\"\\U00110000\"", "\u0085", "\ud800", "~", "@", "`",
    ];

    [Fact]
    public void Random_bytes_never_throw() => Gen.Byte.Array[0, 200].Sample(Holds, iter: 3000);

    [Fact]
    public void Random_YAML_pieces_never_throw() =>
        Gen.OneOfConst(Fragments).Array[0, 30].Sample(pieces => Holds(Encoding.UTF8.GetBytes(string.Concat(pieces))), iter: 10_000);

    [Fact]
    public void A_mutated_example_never_throws() =>
        Gen.Select(Gen.Int[0, Example.Length - 1], Gen.Int[0, 40], Gen.OneOfConst(Fragments)).Array[1, 3].Sample(
            changes =>
            {
                byte[] content = Example;
                foreach ((int at, int removed, string inserted) in changes)
                {
                    int start = Math.Min(at, content.Length);
                    int end = Math.Min(start + removed, content.Length);
                    content = [.. content[..start], .. Encoding.UTF8.GetBytes(inserted), .. content[end..]];
                }

                return Holds(content);
            },
            iter: 1500);

    [Fact]
    public void Deep_nesting_does_not_crash()
    {
        Assert.True(Holds(Encoding.UTF8.GetBytes(new string('[', 200_000))));
        Assert.True(Holds(Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("{a: ", 50_000)))));
        Assert.True(Holds(Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("- ", 50_000)))));
    }

    private static bool Holds(byte[] content)
    {
        ConfigResult result = ConfigFile.Parse("test.yml", content, _ => null);
        return result.Options is null == result.Errors.Length > 0
            && result.Errors.All(error => !error.ToString().Contains('\n') && (error.Line == 0) == (error.Column == 0));
    }
}
