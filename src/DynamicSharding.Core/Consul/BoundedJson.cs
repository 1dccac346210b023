using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace DynamicSharding.Consul;

/// <summary>A response that is larger than this client accepts.</summary>
internal sealed class ResponseTooLargeException(string message) : Exception(message);

/// <summary>
/// Reads a list or an object row by row from one buffer. The response of a broken or hostile agent is never in memory as a whole, and the
/// number of rows is bounded: an empty object costs two bytes on the wire and a hundred in memory.
/// </summary>
internal sealed class BoundedJson<T>(JsonTypeInfo<T> type, Action<string?, T> add)
    where T : class
{
    /// <summary>A thousand gateways, each registered on fifty agents.</summary>
    public const int MaxRows = 50_000;

    /// <summary>A row has about 1.3 kB; a check's output adds at most 4 kB.</summary>
    private const int MaxRowBytes = 256 * 1024;

    /// <summary>Room for the rows above, and an end to a response that has none.</summary>
    private const long MaxBytes = 64 * 1024 * 1024;

    private byte[] _buffer = new byte[16 * 1024];
    private long _bytes;
    private int _length;
    private int _rows;
    private bool _started;
    private JsonReaderState _state;

    public async Task ReadAsync(Stream stream, CancellationToken ct)
    {
        while (true)
        {
            // Fills the buffer before parsing: a row that trickles in is not parsed again for each byte.
            int read = await stream.ReadAtLeastAsync(_buffer.AsMemory(_length), _buffer.Length - _length, throwOnEndOfStream: false, ct).ConfigureAwait(false);
            bool isEnd = _length + read < _buffer.Length;
            if ((_bytes += read) > MaxBytes) throw new ResponseTooLargeException($"the response has more than {MaxBytes} bytes");
            _length += read;
            Parse(isEnd);
            if (isEnd) return;
            if (_length < _buffer.Length) continue;
            if (_length >= MaxRowBytes) throw new ResponseTooLargeException($"one row has more than {MaxRowBytes} bytes");
            Array.Resize(ref _buffer, 2 * _length);
        }
    }

    /// <summary>Parses the complete rows and moves the rest to the front.</summary>
    private void Parse(bool isEnd)
    {
        var reader = new Utf8JsonReader(_buffer.AsSpan(0, _length), isEnd, _state);
        int used = 0;
        while (reader.Read())
        {
            string? name = null;
            if (!_started)
            {
                if (reader.TokenType is not (JsonTokenType.StartArray or JsonTokenType.StartObject)) throw new JsonException("expected a list or an object");
                _started = true;
            }
            else if (reader.TokenType is not (JsonTokenType.EndArray or JsonTokenType.EndObject))
            {
                if (reader.TokenType == JsonTokenType.PropertyName)
                {
                    name = reader.GetString();
                    if (!reader.Read()) break;
                }

                int start = (int)reader.TokenStartIndex;
                if (!reader.TrySkip()) break;
                if (++_rows > MaxRows) throw new ResponseTooLargeException($"more than {MaxRows} rows");
                add(name, JsonSerializer.Deserialize(_buffer.AsSpan(start, (int)reader.BytesConsumed - start), type) ?? throw new JsonException("a row is null"));
            }

            used = (int)reader.BytesConsumed;
            _state = reader.CurrentState;
        }

        _buffer.AsSpan(used, _length - used).CopyTo(_buffer);
        _length -= used;
    }
}
