//! Prints what the library has: `cargo run --example catalogue -- --json`, or without `--json` as a Markdown table.

fn main() {
    let all = freelunch::catalogue::catalogue();
    if std::env::args().any(|argument| argument == "--json") {
        println!("{}", all.to_json());
    } else {
        println!("{}", all.to_markdown());
    }
}
