import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Base64;

/** Push put|post|delete ADDRESS JOB INSTANCE, by HttpURLConnection as client_java and simpleclient use it. */
public class Push {
    public static void main(String[] args) throws Exception {
        String url = (System.getenv("PUSH_CA") == null ? "http" : "https") + "://" + args[1] + "/metrics/job/" + args[2] + "/instance/" + args[3];
        HttpURLConnection connection = (HttpURLConnection) URI.create(url).toURL().openConnection();
        connection.setRequestMethod(args[0].toUpperCase());
        connection.setConnectTimeout(10_000);
        connection.setReadTimeout(20_000);
        connection.setRequestProperty("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
        String user = System.getenv("PUSH_USER");
        if (user != null) {
            byte[] pair = (user + ":" + System.getenv("PUSH_PASSWORD")).getBytes(StandardCharsets.UTF_8);
            connection.setRequestProperty("Authorization", "Basic " + Base64.getEncoder().encodeToString(pair));
        }
        try {
            if (!args[0].equals("delete")) {
                connection.setDoOutput(true);
                try (var body = connection.getOutputStream()) {
                    body.write("# TYPE pushed_value gauge\npushed_value 1\n".getBytes(StandardCharsets.UTF_8));
                }
            }
            int code = connection.getResponseCode();
            System.out.println("response code " + code);
            if (code / 100 != 2) System.exit(1);
        } catch (IOException e) {
            System.out.println(e.getMessage());
            System.exit(1);
        } finally {
            connection.disconnect();
        }
    }
}
