//! The tasks of the runtime, one function each.

use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::notify;
use super::service::Service;
use super::supervisor::Shutdown;
use super::watchdog::{Alive, Supervised, Watchdog};
use super::zalua_storage;
use crate::model::Batch;
use crate::serve::control::{self, AppCommand};
use crate::serve::zalua;
use crate::telemetry::{Heartbeat, Room, Verdict};

/// How often the runtime and the doors say that they are alive.
const BEAT: Duration = Duration::from_secs(2);

/// How long the runtime and the doors may be silent.
const SILENCE: Duration = Duration::from_secs(15);

/// How long the collecting thread may be silent: its slowest honest round is a walk over 100,000
/// processes, about two seconds.
const COLLECT_SILENCE: Duration = Duration::from_secs(30);

/// How often expired series are removed, and the status line is written.
const HOUSEKEEPING: Duration = Duration::from_secs(10);

/// Spawns every task; gives the heartbeat of the runtime.
pub(super) fn spawn(
    service: &mut Service,
    control: Option<UnixListener>,
    zalua: Option<UnixListener>,
    orders: mpsc::Sender<AppCommand>,
) -> Heartbeat {
    if let Some(listener) = control {
        serve_control(service, listener, orders.clone());
    }
    if let Some(listener) = zalua {
        serve_zalua(service, listener, orders);
    }
    watch_units(service);
    keep_house(service);
    save_snapshots(service);
    save_zalua_storage(service);
    refresh_zabbix(service);
    watch_zabbix(service);
    watch_http(service);
    beat(service)
}

fn serve_control(
    service: &mut Service,
    listener: UnixListener,
    commands: mpsc::Sender<AppCommand>,
) {
    let context = control::Context {
        store: service.store.clone(),
        board: service.board.clone(),
        commands,
        started: service.started,
    };
    let part = service.board.part(Room::Door, "control", Verdict::Starting);
    service
        .supervisor()
        .spawn("control", Some(part), move |mut shutdown| {
            let (listener, context) = (listener.try_clone(), context.clone());
            async move {
                let listener = listener.map_err(|error| error.to_string())?;
                let served =
                    control::serve(listener, context, async move { shutdown.wait().await });
                served.await.map_err(|error| error.to_string())
            }
        });
}

fn serve_zalua(service: &mut Service, listener: UnixListener, commands: mpsc::Sender<AppCommand>) {
    let identity = zalua::identity(service.store.clock());
    let door = zalua::Door::new(zalua::Context {
        store: service.store.clone(),
        board: service.board.clone(),
        commands: commands.clone(),
        identity: Arc::clone(&identity),
    });
    let part = service.board.part(Room::Door, "zalua", Verdict::Active);
    service
        .supervisor()
        .spawn("zalua", Some(part), move |mut shutdown| {
            let (listener, door) = (listener.try_clone(), Arc::clone(&door));
            async move {
                let listener = listener.map_err(|error| error.to_string())?;
                let served = door.serve(listener, async move { shutdown.wait().await });
                served.await.map_err(|error| error.to_string())
            }
        });
    // Only a service that a client has started ends with its socket.
    let Some(path) = service.options.zalua_socket.clone() else {
        return;
    };
    service
        .supervisor()
        .spawn("zalua-socket", None, move |mut shutdown| {
            let (path, identity, commands) =
                (path.clone(), Arc::clone(&identity), commands.clone());
            async move {
                let mut ending = shutdown.clone();
                let watched = zalua::daemon::watch_socket(&path, &identity, async move {
                    shutdown.wait().await;
                });
                if watched.await && commands.send(AppCommand::Stop(0)).await.is_ok() {
                    ending.wait().await;
                }
                Ok(())
            }
        });
}

/// Watches systemd's units with what [`Service::units`] holds, and anew when that changes.
fn watch_units(service: &mut Service) {
    let part = service
        .board
        .part(Room::Collector, "unit", Verdict::Starting);
    let (store, plans) = (service.store.clone(), service.units.subscribe());
    let page = Arc::clone(&part);
    service
        .supervisor()
        .spawn("unit", Some(part), move |mut shutdown| {
            let (store, part, mut plans) = (store.clone(), Arc::clone(&page), plans.clone());
            async move {
                loop {
                    let plan = plans.borrow_and_update().clone();
                    let changed = async {
                        tokio::select! {
                            changed = plans.changed() => changed.is_ok(),
                            () = shutdown.wait() => false,
                        }
                    };
                    let go_on = if let Some(watch) = plan {
                        let mut go_on = false;
                        let stop = async { go_on = changed.await };
                        watch.run(store.clone(), Arc::clone(&part), stop).await;
                        go_on
                    } else {
                        part.set(Verdict::Off);
                        changed.await
                    };
                    if !go_on {
                        return Ok(());
                    }
                }
            }
        });
}

/// Calls `work` at every tick until told to end.
async fn every(period: Duration, mut shutdown: Shutdown, mut work: impl FnMut()) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => work(),
            () = shutdown.wait() => return,
        }
    }
}

fn keep_house(service: &mut Service) {
    let (store, board) = (service.store.clone(), service.board.clone());
    let notifier = Arc::clone(&service.notifier);
    service
        .supervisor()
        .spawn("housekeeping", None, move |shutdown| {
            let (store, board) = (store.clone(), board.clone());
            let notifier = Arc::clone(&notifier);
            async move {
                every(HOUSEKEEPING, shutdown, || {
                    store.expire();
                    notifier.status(&super::service::headline(&store, &board));
                })
                .await;
                Ok(())
            }
        });
}

/// Writes the snapshot as often as [`Service::snapshots`] says.
fn save_snapshots(service: &mut Service) {
    let (state, store) = (service.state.clone(), service.store.clone());
    let plans = service.snapshots.subscribe();
    service
        .supervisor()
        .spawn("snapshot", None, move |mut shutdown| {
            let (state, store, mut plans) = (state.clone(), store.clone(), plans.clone());
            async move {
                loop {
                    let plan = *plans.borrow_and_update();
                    let pause = async {
                        match plan {
                            Some(interval) => tokio::time::sleep(interval).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        () = pause => {}
                        Ok(()) = plans.changed() => continue,
                        () = shutdown.wait() => return Ok(()),
                    }
                    let (state, store) = (state.clone(), store.clone());
                    let saved = tokio::task::spawn_blocking(move || state.save(&store));
                    saved.await.map_err(|error| error.to_string())?;
                }
            }
        });
}

/// Writes ZaLua's storage file; the last time is at the end of the service.
fn save_zalua_storage(service: &mut Service) {
    let Some(storage) = service.zalua_storage.clone() else {
        return;
    };
    let store = service.store.clone();
    service
        .supervisor()
        .spawn("zalua-storage", None, move |mut shutdown| {
            let (storage, store) = (storage.clone(), store.clone());
            async move {
                loop {
                    tokio::select! {
                        () = tokio::time::sleep(zalua_storage::PERIOD) => {}
                        () = shutdown.wait() => return Ok(()),
                    }
                    let (storage, store) = (storage.clone(), store.clone());
                    let saved = tokio::task::spawn_blocking(move || storage.save(&store));
                    saved.await.map_err(|error| error.to_string())?;
                }
            }
        });
}

/// What the Zabbix doors answer from looks from time to time at what there is to discover; the
/// first look is taken at start, when the first round of values is there.
fn refresh_zabbix(service: &mut Service) {
    let Some(items) = service.zabbix.items.clone() else {
        return;
    };
    let looks = service.zabbix_looks.subscribe();
    service
        .supervisor()
        .spawn("zabbix-items", None, move |mut shutdown| {
            let (items, mut looks) = (Arc::clone(&items), looks.clone());
            async move {
                loop {
                    let period = *looks.borrow_and_update();
                    tokio::select! {
                        () = tokio::time::sleep(period) => {}
                        Ok(()) = looks.changed() => {}
                        () = shutdown.wait() => return Ok(()),
                    }
                    let items = Arc::clone(&items);
                    let looked = tokio::task::spawn_blocking(move || items.refresh());
                    looked.await.map_err(|error| error.to_string())?;
                }
            }
        });
}

/// Brings what the Zabbix doors have counted to the board and the store, and sees that their
/// threads go round.
fn watch_zabbix(service: &mut Service) {
    let doors = Arc::clone(&service.zabbix.doors);
    if doors.is_empty() {
        return;
    }
    let (part, store) = (
        service.board.part_as_it_is(Room::Door, "zabbix"),
        service.store.clone(),
    );
    let hearts = service.zabbix.hearts.clone();
    service
        .supervisor()
        .spawn("zabbix-door", None, move |shutdown| {
            let (doors, hearts) = (Arc::clone(&doors), hearts.clone());
            let (part, store) = (Arc::clone(&part), store.clone());
            async move {
                let mut turns = vec![0; doors.len()];
                let mut batch = Batch::new();
                every(BEAT, shutdown, || {
                    for ((door, heart), seen) in doors.iter().zip(&hearts).zip(&mut turns) {
                        if door.turns() != *seen {
                            *seen = door.turns();
                            heart.beat();
                        }
                        door.nudge();
                    }
                    super::doors::count(&doors, &part, &mut batch);
                    store.put("zabbix", &batch, None);
                })
                .await;
                Ok(())
            }
        });
}

/// Brings what the HTTP doors have counted to the board and the store. Plugins may open doors where
/// the configuration opens none, so this is always done once something was asked.
fn watch_http(service: &mut Service) {
    let http = service.http.http.clone();
    let (part, store) = (
        service.board.part_as_it_is(Room::Door, super::http::NAME),
        service.store.clone(),
    );
    let has_doors = !service.http.doors.is_empty();
    service
        .supervisor()
        .spawn("http-door", None, move |shutdown| {
            let (http, part, store) = (http.clone(), Arc::clone(&part), store.clone());
            async move {
                let mut batch = Batch::new();
                every(BEAT, shutdown, || {
                    if has_doors || http.is_running() {
                        super::http::count(&http, &part, &mut batch);
                        store.put("http", &batch, None);
                    }
                })
                .await;
                Ok(())
            }
        });
}

/// The runtime says that it is alive.
fn beat(service: &mut Service) -> Heartbeat {
    let heart = Heartbeat::new("runtime", service.store.clock().clone());
    let beating = heart.clone();
    service
        .supervisor()
        .spawn("heartbeat", None, move |shutdown| {
            let heart = beating.clone();
            async move {
                every(BEAT, shutdown, || heart.beat()).await;
                Ok(())
            }
        });
    heart
}

/// The watchdog over the runtime and the collecting thread, if systemd wants one.
pub(super) fn watchdog(service: &Service, runtime: Heartbeat) -> Option<Watchdog> {
    let timeout = notify::watchdog_timeout()?;
    let mut tasks: Vec<Arc<dyn Alive>> = vec![supervised(runtime, SILENCE)];
    tasks.extend(
        service
            .zabbix
            .hearts
            .iter()
            .map(|heart| supervised(heart.clone(), SILENCE)),
    );
    if let Some(scripts) = &service.scripts {
        tasks.push(supervised(scripts.heart.clone(), SILENCE));
    }
    if !service.http.doors.is_empty() {
        tasks.push(supervised(service.http.http.heart(), SILENCE));
    }
    if service.schedule.is_some() {
        tasks.push(supervised(service.collecting.clone(), COLLECT_SILENCE));
    }
    Some(Watchdog::new(service.store.clock().clone(), timeout, tasks))
}

fn supervised(heartbeat: Heartbeat, limit: Duration) -> Arc<dyn Alive> {
    Arc::new(Supervised { heartbeat, limit })
}
