//! `http` against servers on loopback.

use std::net::TcpListener;

use crate::lua::api::servers::{HttpServer, TlsServer, response};
use crate::lua::testing::Stage;

/// Answers with what it was asked, and with what is wanted of it by its path.
fn server() -> HttpServer {
    HttpServer::start(|request| {
        let path = request.split(' ').nth(1).unwrap_or_default();
        match path {
            "/teapot" => response("418 I'm a teapot", "X-One: 1\r\nX-One: 2\r\n", "short\0"),
            "/redirect" => response("302 Found", "Location: /teapot\r\n", ""),
            "/loop" => response("302 Found", "Location: /loop\r\n", ""),
            "/long" => response("200 OK", "", &"x".repeat(100_000)),
            "/cut" => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort".to_vec(),
            _ => response("200 OK", "", request),
        }
    })
}

#[test]
fn zalua_46_a_get_gives_code_body_and_url() {
    let address = server().address;
    Stage::new().pass(format!(
        "local answer, message = http.get('http://{address}/teapot')
         assert(message == nil, message)
         assert(answer.code == 418 and answer.body == 'short\\0')
         assert(answer.url == 'http://{address}/teapot')
         local answer = http.get('http://{address}')
         assert(answer.code == 200 and answer.url == 'http://{address}')
         assert(answer.body:find('^GET / HTTP/1.1\\r\\n') and answer.body:lower():find('\\r\\nuser%-agent: zalua\\r\\n'), answer.body)
         assert(http.get('http://{address}/redirect').code == 418)
         local answer = http.post('http://{address}/', '[1]')
         assert(answer.body:find('^POST / HTTP/1.1\\r\\n') and answer.body:find('\\r\\n\\r\\n%[1%]$'))
         assert(answer.body:lower():find('\\r\\ncontent%-type: application/json\\r\\n'), answer.body)"
    ));
}

#[test]
fn zalua_46_what_fails_is_nil_and_a_message_that_ends_in_a_line_feed() {
    let address = server().address;
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = closed.local_addr().unwrap();
    drop(closed);
    Stage::new().pass(format!(
        "local function fails(url, text)
           local answer, message = http.get(url)
           assert(answer == nil and message:find('^' .. text .. ': .*\\n$'), message)
         end
         fails('no address', 'http create request')
         fails('http://{nobody}/', 'http error')
         fails('http://{address}/loop', 'http error')
         fails('http://{address}/cut', 'http read response error')
         assert(not pcall(http.get, 1) and not pcall(http.post, 'http://{address}/'))"
    ));
}

#[test]
fn zalua_47_text_is_escaped_for_a_query() {
    Stage::new().pass(
        "assert(http.escape(' ') == '+' and http.escape('a/b&c=\\255') == 'a%2Fb%26c%3D%FF')
         assert(http.unescape('a%2Fb+c') == 'a/b c')
         local text, message = http.unescape('%zz')
         assert(text == nil and message:find('^unescape error: .*\\n$'), message)",
    );
}

#[test]
fn a_request_has_method_headers_body_and_limits() {
    let address = server().address;
    Stage::new().pass(format!(
        r#"local url = "http://{address}/"
         local answer = assert(http.request{{url = url, method = "PUT", headers = {{["X-A"] = "b"}}, body = "text"}})
         assert(answer.body:find("^PUT / ") and answer.body:find("\r\nx%-a: b\r\n") and answer.body:find("text$"))
         assert(http.request{{url = url, body = "x"}}.body:find("^POST"))
         local answer = http.request{{url = url .. "redirect"}}
         assert(answer.url == url .. "teapot" and answer.headers["x-one"] == "1, 2")
         local answer, message = http.request{{url = url .. "long", max_size = 99999}}
         assert(answer == nil and message == "http read response error: the body is longer than 99999 bytes\n", message)
         assert(#http.request{{url = url .. "long", max_size = 100000}}.body == 100000)
         for text, wrong in pairs({{
           ["url: is missing"] = {{}},
           ["urll: no such field"] = {{urll = url}},
           ["timeout: a string does not fit"] = {{url = url, timeout = "1"}},
           ["timeout: 0.001 to 3600 seconds"] = {{url = url, timeout = -1}},
           ["max_size: 0 to 67108864 bytes"] = {{url = url, max_size = 1e9}},
           ["method: no method"] = {{url = url, method = "A B"}},
           ["headers: "] = {{url = url, headers = {{["a b"] = "c"}}}},
         }}) do
           local ok, message = pcall(http.request, wrong)
           assert(not ok and message:find("http.request: " .. text, 1, true), message)
         end"#
    ));
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    Stage::new().pass(format!(
        "local answer, message = http.request{{url = 'http://{address}/', timeout = 0.2}}
         assert(answer == nil and message == 'http error: no answer in 0.2 seconds\\n', message)"
    ));
}

#[test]
fn certificates_are_verified_unless_told_otherwise() {
    let server = TlsServer::start("localhost", -86_400, 86_400, response("200 OK", "", "safe"));
    let stage = Stage::new();
    let ca = stage.write("ca.pem", &server.pem);
    let port = server.address.port();
    stage.pass(format!(
        "local url = 'https://localhost:{port}/'
         local answer, message = http.get(url)
         assert(answer == nil and message:find('certificate'), message)
         assert(http.request{{url = url, insecure = true}}.body == 'safe')
         assert(http.request{{url = url, ca = '{ca}'}}.body == 'safe')
         local answer, message = http.request{{url = url, ca = '/absent'}}
         assert(message == 'http create request: open /absent: no such file or directory\\n', message)
         local answer, message = http.request{{url = url, ca = '/dev/null'}}
         assert(message:find('no certificate'), message)",
        ca = ca.display()
    ));
}
