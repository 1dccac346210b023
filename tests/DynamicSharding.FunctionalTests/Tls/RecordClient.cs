using System.Net;
using System.Net.Sockets;
using Org.BouncyCastle.Tls;
using Org.BouncyCastle.Tls.Crypto.Impl.BC;

namespace DynamicSharding.FunctionalTests.Tls;

/// <summary>A TLS 1.3 client that can send any record after its handshake. Trusts everybody.</summary>
internal sealed class RecordClient : IDisposable
{
    private readonly NetworkStream _stream;
    private readonly Protocol _protocol;

    public RecordClient(string address)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 20_000, NoDelay = true };
        socket.Connect(IPEndPoint.Parse(address));
        _stream = new NetworkStream(socket, ownsSocket: true);
        _protocol = new Protocol(_stream);
        _protocol.Connect(new Client());
    }

    /// <summary>Sends handshake bytes in a record of their own, complete or not.</summary>
    public void SendHandshake(params byte[] bytes) => _protocol.SendRecord(ContentType.handshake, bytes);

    /// <summary>Ends the TCP connection without a word of TLS.</summary>
    public void Dispose() => _stream.Dispose();

    private sealed class Protocol(Stream stream) : TlsClientProtocol(stream)
    {
        public void SendRecord(short type, byte[] bytes) => SafeWriteRecord(type, bytes, 0, bytes.Length);
    }

    private sealed class Client() : DefaultTlsClient(new BcTlsCrypto())
    {
        public override TlsAuthentication GetAuthentication() => new Anyone();

        protected override ProtocolVersion[] GetSupportedVersions() => ProtocolVersion.TLSv13.Only();
    }

    private sealed class Anyone : TlsAuthentication
    {
        public void NotifyServerCertificate(TlsServerCertificate serverCertificate)
        {
        }

        public TlsCredentials? GetClientCredentials(CertificateRequest certificateRequest) => null;
    }
}
