//! Work on another process: a server that hosts this machine's processor, and two clients on the loopback address that send it their tensors.
//! `cargo run --features remote --example remote_devices`
//!
//! 1. Two clients, each a process of its own, play a membership game on the server's device and keep every finished run.
//! 2. After the first runs the server is killed. Both clients stop with an error that says what to do.
//! 3. The server is started again and the clients, too: they find the runs that were finished, and play the others.
//! 4. The result is compared with a game that was not interrupted, on the same server, and with one on this machine without any.
//! 5. A federation of two clients trains on the server.
//! 6. A second server is started, and a game is played across both.

use freelunch::attack::Signals;
use freelunch::federated::{ClientData, Federation, Partition};
use freelunch::prelude::*;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 8;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", address] => Device::Cpu.serve(address),
        ["play", device, seed, folder] => {
            let signals = play(&device.parse()?, seed.parse().unwrap_or(1), Some(Path::new(folder)))?;
            println!("{} runs, AUC of the loss {}", signals.models(), LossThreshold::new().roc(&signals)?.auc());
            Ok(())
        }
        _ => demonstrate(),
    }
}

fn play(device: &Device, seed: u64, folder: Option<&Path>) -> Result<Signals> {
    let lab = Lab::on(device.clone())?.seed(seed).quiet();
    match folder {
        Some(folder) => play_in(&lab.keep(folder)?),
        None => play_in(&lab),
    }
}

fn play_in(lab: &Lab) -> Result<Signals> {
    let pool = Dataset::digits()?.train.subset(&(0..600).collect::<Vec<_>>())?;
    let pipeline = Pipeline::direct(Train::new(Arch::Mlp { hidden: vec![64] }).with_epochs(30));
    Game::new(RUNS).play(&pipeline, &pool, lab)
}

fn demonstrate() -> Result<()> {
    let address = free_address()?;
    let device: Device = format!("remote:ws://{address}").parse()?;
    let folder = std::env::temp_dir().join(format!("freelunch-remote-{}", std::process::id()));
    let kept = |client: usize| folder.join(format!("client-{client}"));

    let mut server = started(&["serve", &address.to_string()], false)?;
    wait_for(address);
    let begin = Instant::now();
    let clients = clients(&device, &kept)?;
    while (1..=2).any(|client| files(&kept(client)) < 2) && begin.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = server.kill();
    let _ = server.wait();
    println!("server killed after {:.1} s", begin.elapsed().as_secs_f64());
    for (client, process) in (1..).zip(clients) {
        let (ok, said) = finished(process);
        println!("client {client} {}: {said}; {} of {RUNS} runs kept", if ok { "finished" } else { "stopped" }, files(&kept(client)));
    }

    let server = started(&["serve", &address.to_string()], false)?;
    wait_for(address);
    println!("server started again");
    for (client, process) in (1..).zip(self::clients(&device, &kept)?) {
        println!("client {client}: {}", finished(process).1);
    }
    let resumed = play(&device, 1, Some(&kept(1)))?;
    let whole = play(&device, 1, None)?;
    let here = play(&Device::Cpu, 1, None)?;
    println!("interrupted game equal to an uninterrupted one on the server, to the byte: {}", resumed.logits() == whole.logits());
    let equal = whole.logits() == here.logits();
    println!(
        "game on the server equal to one on this machine, to the byte: {equal}; largest difference of φ {:.1e}",
        difference(&whole, &here)?
    );

    let digits = Dataset::digits()?;
    let recipe = Train::new(Arch::Mlp { hidden: vec![64] }).with_batch(32);
    for device in [device.clone(), Device::Cpu] {
        let start = Instant::now();
        let lab = Lab::on(device.clone())?.seed(3).quiet();
        let clients = ClientData::each(&Partition::iid().split(&digits.train, 2, &lab)?);
        let run = Federation::new(recipe.clone(), 10).with_test(&digits.test).run(&clients, &lab)?;
        let accuracy = run.model().accuracy(&digits.test)?;
        println!("federation of 2 clients on {device}: test accuracy {accuracy}, {:.1} s", start.elapsed().as_secs_f64());
    }

    let second_address = free_address()?;
    let second = started(&["serve", &second_address.to_string()], false)?;
    wait_for(second_address);
    let second_device: Device = format!("remote:ws://{second_address}").parse()?;
    let start = Instant::now();
    play_in(&Lab::on(device.clone())?.seed(1).quiet())?;
    let one = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let spread = play_in(&Lab::new()?.across([device, second_device])?.seed(1).quiet())?;
    let two = start.elapsed().as_secs_f64();
    let equal = spread.logits() == whole.logits();
    println!("game across two servers equal to one on the first alone, to the byte: {equal}; {two:.1} s after {one:.1} s");
    for mut server in [server, second] {
        let _ = server.kill();
        let _ = server.wait();
    }
    let _ = std::fs::remove_dir_all(&folder);
    Ok(())
}

fn difference(a: &Signals, b: &Signals) -> Result<f64> {
    let mut largest = 0f64;
    for model in 0..a.models() {
        largest = a.phi(model)?.iter().zip(b.phi(model)?).fold(largest, |most, (a, b)| most.max((a - b).abs()));
    }
    Ok(largest)
}

fn clients(device: &Device, kept: &dyn Fn(usize) -> std::path::PathBuf) -> Result<Vec<Child>> {
    let device = device.to_string();
    (1..=2).map(|client| started(&["play", &device, &client.to_string(), &kept(client).display().to_string()], true)).collect()
}

fn started(arguments: &[&str], listen: bool) -> Result<Child> {
    let io = |e| Error::config(format!("no process could be started: {e}"), "close other programs");
    let pipe = || if listen { Stdio::piped() } else { Stdio::null() };
    Command::new(std::env::current_exe().map_err(io)?).args(arguments).stdout(pipe()).stderr(pipe()).spawn().map_err(io)
}

/// Whether it went well, and the last line it wrote.
fn finished(process: Child) -> (bool, String) {
    let Ok(output) = process.wait_with_output() else { return (false, "was lost".into()) };
    let said = if output.status.success() { output.stdout } else { output.stderr };
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.success(), said.lines().last().unwrap_or("nothing").to_string())
}

fn files(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.path() {
            folder if folder.is_dir() => files(&folder),
            file => usize::from(file.extension().is_some_and(|end| end == "safetensors")),
        })
        .sum()
}

fn free_address() -> Result<SocketAddr> {
    let failed = |e| Error::config(format!("no free port on the loopback address: {e}"), "close other servers");
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).map_err(failed)
}

fn wait_for(address: SocketAddr) {
    for _ in 0..500 {
        if TcpStream::connect(address).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
