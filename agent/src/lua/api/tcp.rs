//! `tcp`: connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::{Arguments, Failure, Found, Module, file, object, too_many, whole};
use crate::lua::quota::Held;
use crate::lua::wait::{Wait, wait};

/// The class of connections.
const CONNECTION: &str = "tcp.connection";

/// How long a connection, a write and, unless the script says, a read may take.
const TIME: Duration = Duration::from_secs(5);

/// The longest that a script may wait for a read, in seconds.
const READ_SECONDS_MAX: f64 = 3600.0;

/// How much a read gives at most: by default, and when the script says.
const READ: f64 = 65_536.0;
const READ_MAX: f64 = 1_048_576.0;

/// A connection, or one that was closed.
#[derive(Debug)]
struct Connection {
    address: String,
    stream: Arc<Mutex<Option<Open>>>,
}

#[derive(Debug)]
struct Open {
    stream: TcpStream,
    _held: Held,
}

/// Text for a connection that was closed.
const CLOSED: &str = "use of closed network connection";

/// Runs `work` for at most `time`, and gives errors in Go's words.
async fn limited<T>(
    time: Duration,
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, String> {
    match timeout(time, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(file::go_error(&error)),
        Err(_) => Err("i/o timeout".to_owned()),
    }
}

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.waiting("open", |lua, context, arguments| {
        let address = arguments.text(1)?;
        let held = context.handles.take(lua, 1)?;
        let refused = too_many(context);
        let target = address.clone();
        let connect = async move {
            let Some(held) = held else {
                return Err(refused);
            };
            let stream = limited(TIME, TcpStream::connect(target)).await?;
            Ok(Open {
                stream,
                _held: held,
            })
        };
        Ok(wait(connect, move |lua, outcome| match outcome {
            Ok(open) => {
                let stream = Arc::new(Mutex::new(Some(open)));
                let connection = object(lua, CONNECTION, Connection { address, stream })?;
                Ok(Found::Is(connection))
            }
            Err(error) => Ok(Found::Not(format!("dial tcp {address}: {error}"))),
        }))
    })?;
    let class = module.another()?;
    class.waiting("write", |_, _, arguments| {
        let connection = arguments.object::<Connection>(1, CONNECTION)?;
        let content = arguments.bytes(2)?.as_bytes().to_vec();
        let (address, stream) = (connection.address.clone(), Arc::clone(&connection.stream));
        let write = async move {
            let mut open = stream.lock().await;
            let Some(open) = open.as_mut() else {
                return Err(CLOSED.to_owned());
            };
            limited(TIME, open.stream.write_all(&content)).await
        };
        Ok(wait(write, move |_, outcome| {
            let error = outcome.err();
            Ok::<_, Failure>(error.map(|error| format!("write to `{address}`: {error}")))
        }))
    })?;
    class.waiting("read", |_, _, arguments| read(&arguments))?;
    class.waiting("close", |_, _, arguments| {
        let connection = arguments.object::<Connection>(1, CONNECTION)?;
        let stream = Arc::clone(&connection.stream);
        let close = async move { drop(stream.lock().await.take()) };
        Ok(wait(close, |_, ()| Ok::<_, Failure>(())))
    })?;
    class.class(CONNECTION)
}

fn read(arguments: &Arguments) -> Result<Wait, Failure> {
    let connection = arguments.object::<Connection>(1, CONNECTION)?;
    let most = arguments.optional_number(2)?.unwrap_or(READ).trunc();
    if !(1.0..=READ_MAX).contains(&most) {
        return Err(arguments.wrong(2, &format!("1 to {READ_MAX} bytes expected, got {most}")));
    }
    let seconds = arguments.optional_number(3)?.unwrap_or(TIME.as_secs_f64());
    if !(0.0..=READ_SECONDS_MAX).contains(&seconds) {
        let range = format!("0 to {READ_SECONDS_MAX} seconds expected, got {seconds}");
        return Err(arguments.wrong(3, &range));
    }
    let (address, stream) = (connection.address.clone(), Arc::clone(&connection.stream));
    let read = async move {
        let mut open = stream.lock().await;
        let Some(open) = open.as_mut() else {
            return Err(CLOSED.to_owned());
        };
        let most = usize::try_from(whole(most)).unwrap_or(0);
        let time = Duration::from_secs_f64(seconds);
        let taken = limited(time, take(&open.stream, most)).await?;
        if taken.is_empty() {
            return Err("EOF".to_owned());
        }
        Ok(taken)
    };
    Ok(wait(read, move |lua, outcome| match outcome {
        Ok(taken) => Ok(Found::Is(lua.create_string(taken)?)),
        Err(error) if error == "EOF" => Ok(Found::Not(error)),
        Err(error) => Ok(Found::Not(format!("read from `{address}`: {error}"))),
    }))
}

/// Waits until something is there, and takes of it what fits; nothing is the end. There is no memory
/// for it before.
async fn take(stream: &TcpStream, most: usize) -> io::Result<Vec<u8>> {
    loop {
        stream.readable().await?;
        let mut taken = vec![0; most];
        match stream.try_read(&mut taken) {
            Ok(length) => {
                taken.truncate(length);
                return Ok(taken);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use crate::lua::testing::Stage;

    #[test]
    fn zalua_55_connections_are_opened_written_to_read_from_and_closed() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut received = [0; 5];
            stream.read_exact(&mut received).unwrap();
            stream.write_all(&received).unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).unwrap();
            received
        });
        Stage::new().pass(format!(
            "local connection = assert(tcp.open('{address}'))
             assert(connection:write('he\\0lo') == nil)
             local got = ''
             while #got < 5 do got = got .. assert(connection:read(3)) end
             assert(got == 'he\\0lo', got)
             local nothing, message = connection:read(10, 0)
             assert(nothing == nil and message == 'read from `{address}`: i/o timeout', message)
             assert(not pcall(connection.read, connection, 0))
             assert(not pcall(connection.read, connection, 1e9))
             assert(select('#', connection:close()) == 0)
             local message = connection:write('x')
             assert(message == 'write to `{address}`: use of closed network connection', message)
             local nothing, message = connection:read()
             assert(nothing == nil and message:find('closed'))
             connection:close()"
        ));
        assert_eq!(&serving.join().unwrap(), b"he\0lo");
    }

    /// What is there comes at once, however much of it: 64 bytes at a time were hundreds of turns.
    #[test]
    fn a_read_gives_all_that_is_there_up_to_what_was_asked_for() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            for size in [20_000, 70_000, 200_000] {
                stream.write_all(&vec![b'x'; size]).unwrap();
                let mut taken = [0];
                stream.read_exact(&mut taken).unwrap();
            }
        });
        Stage::new().pass(format!(
            "local connection = assert(tcp.open('{address}'))
             local function take(whole, most)
               local got, reads = 0, {{}}
               while got < whole do
                 reads[#reads + 1] = #assert(connection:read(most))
                 got = got + reads[#reads]
                 time.sleep(0)
               end
               assert(got == whole)
               assert(connection:write('.') == nil)
               return reads
             end
             local reads = take(20000)
             assert(#reads < 40, #reads)
             for _, size in ipairs(take(70000)) do assert(size <= 65536) end
             local largest = 0
             for _, size in ipairs(take(200000, 1048576)) do largest = math.max(largest, size) end
             assert(largest > 64)"
        ));
        serving.join().unwrap();
    }

    #[test]
    fn zalua_55_a_connection_that_fails_is_nil_and_a_message() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        drop(server);
        Stage::new().pass(format!(
            "local connection, message = tcp.open('{address}')
             assert(connection == nil)
             assert(message == 'dial tcp {address}: connection refused', message)
             local connection, message = tcp.open('no port')
             assert(connection == nil and message:find('^dial tcp no port: '), message)"
        ));
    }

    #[test]
    fn the_other_end_of_a_connection_is_told_from_silence() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let serving = std::thread::spawn(move || drop(server.accept().unwrap()));
        Stage::new().pass(format!(
            "local nothing, message = assert(tcp.open('{address}')):read()
             assert(nothing == nil and message == 'EOF', message)"
        ));
        serving.join().unwrap();
    }
}
