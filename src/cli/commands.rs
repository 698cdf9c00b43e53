//! One function per subcommand: settings to one call into `ops`, answer to the console.

use std::sync::Arc;

use clap::CommandFactory as _;

use super::args::{Cli, Command, KeysCommand, MappingCommand, PolicyCommand, ScopeArg, SealHow};
use super::passwords::FromUser;
use super::settings::Settings;
use super::{console, progress, render};
use crate::clock::{SystemClock, SystemRandom};
use crate::config::case::{CaseKind, MappingRef};
use crate::finding::Severity;
use crate::model::{Exit, Lang};
use crate::ops::seal::{Limits, SealOptions};
use crate::ops::{self, Answer, Env, Error};
use crate::progress::{Cancel, Hidden, Progress};

/// Runs one command.
pub(super) async fn run(settings: &Settings, command: Command, cancel: Cancel) -> Exit {
    let env = environment(settings, cancel);
    let result = dispatch(&env, command).await;
    match result {
        Ok(answer) => {
            console::answer(settings, &answer);
            if answer.exit != Exit::Success && !settings.quiet {
                let code = answer.exit.code();
                console::message(&format!("{} ({code})", render::category(answer.exit, settings.lang)));
            }
            answer.exit
        }
        Err(error) => render::error(settings, &error),
    }
}

fn environment(settings: &Settings, cancel: Cancel) -> Env {
    let shown: Arc<dyn Progress> = if settings.progress {
        Arc::new(progress::Bars::new(settings.lang))
    } else if settings.quiet {
        Arc::new(Hidden)
    } else {
        Arc::new(progress::Lines::new(settings.lang))
    };
    Env {
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        progress: shown,
        notices: Arc::new(console::Notes::new(settings)),
        cancel,
        lang: settings.lang,
        secrets: settings.secrets.clone(),
        passwords: Arc::new(FromUser { lang: settings.lang }),
        executable: std::env::current_exe().ok(),
    }
}

fn seal_options(how: &SealHow) -> SealOptions {
    let limits =
        Limits { rows_per_second_max: how.max_rate, until: how.until, connections_max: Some(how.max_connections) };
    SealOptions { is_draft: how.draft, is_resumed: how.resume, limits }
}

/// A mapping named on the command line: paths start at the working folder.
fn reference(text: &str) -> MappingRef {
    MappingRef::parse(text, std::path::Path::new(""))
}

/// Scripts and pages are the same in both forms of answer.
fn page(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes).into_owned();
    Answer { json: serde_json::Value::String(text.clone()), text, exit: Exit::Success }
}

fn completions(shell: clap_complete::Shell) -> Answer {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sealport", &mut script);
    page(&script)
}

fn manual() -> Result<Answer, Error> {
    let mut text = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut text)
        .map_err(|e| crate::fsio::Error::io("write", "sealport.1", e))?;
    Ok(page(&text))
}

async fn dispatch(env: &Env, command: Command) -> Result<Answer, Error> {
    match command {
        Command::Demo(a) => ops::demo::demo(env, &a.out, a.orders, a.seed).await,
        Command::Synth(a) => match &a.system {
            None => ops::synth::synth(env, &a.out, a.orders, a.seed, &a.faults).await,
            Some(system) => {
                let place = ops::synth::Place { system, dialect: a.dialect.as_deref(), url: a.url.as_deref() };
                ops::synth::system(env, &a.out, &place, a.orders, a.seed, &a.faults)
            }
        },
        Command::Init(a) => {
            let kind = CaseKind::from_word(&a.kind).unwrap_or(CaseKind::Audit);
            let request =
                ops::init::InitRequest { dir: a.dir, kind, source: a.source, mapping: a.mapping, bills: a.bills };
            ops::init::init(env, &request)
        }
        Command::Keys(KeysCommand::New { case }) => ops::keys::create(env, &case),
        Command::Keys(KeysCommand::Show { case }) => ops::keys::show(env, &case),
        Command::Keys(KeysCommand::List { keyring }) => ops::keys::list(env, &keyring),
        Command::Lookup(a) => {
            let request =
                ops::lookup::LookupRequest { case: a.case, key: a.key, roster: a.roster, out: a.out, reason: a.reason };
            ops::lookup::lookup(env, &request)
        }
        Command::Doctor { case } => ops::doctor::doctor(env, &case).await,
        Command::Seal(a) => ops::seal::seal(env, &a.case, &seal_options(&a.how)).await.map(|(answer, _)| answer),
        Command::Verify(a) => {
            let request = ops::verify::VerifyRequest {
                path: a.path,
                keyring: a.keyring,
                rows: a.scope == ScopeArg::Rows,
                stream: a.stream,
                min_sequence: a.min_sequence,
            };
            ops::verify::verify(env, &request)
        }
        Command::Check(a) => {
            ops::check::check(env, &a.target, &check_options(a.options)).await.map(|(answer, _)| answer)
        }
        Command::Report(a) => {
            let kind = a.kind.as_deref().and_then(CaseKind::from_word);
            ops::report::report(env, &a.case, kind, &languages(&a.report_lang)?).await
        }
        Command::Run(a) => ops::run::run(env, &a.case, &seal_options(&a.how), &check_options(a.options)).await,
        Command::Policy(PolicyCommand::List { policy }) => ops::policy::list(env, policy.as_deref()),
        Command::Policy(PolicyCommand::Show { id, policy }) => ops::policy::show(env, policy.as_deref(), &id),
        Command::Policy(PolicyCommand::Lint { policy }) => ops::policy::lint(env, policy.as_deref()).await,
        Command::Policy(PolicyCommand::Test { ids, policy }) => ops::policy::test(env, policy.as_deref(), &ids).await,
        Command::Mapping(MappingCommand::List { case }) => ops::mapping::list(env, &case),
        Command::Mapping(MappingCommand::Show { mapping }) => ops::mapping::show(env, &reference(&mapping)),
        Command::Mapping(MappingCommand::Lint { mapping }) => ops::mapping::lint(env, &reference(&mapping)),
        Command::Mapping(MappingCommand::Coverage { target, fail_under }) => {
            ops::mapping::coverage::coverage(env, &target, fail_under)
        }
        Command::Mapping(MappingCommand::Init { source, name, out }) => {
            let request = ops::mapping::propose::ProposeRequest { url: source, name, out };
            ops::mapping::propose::propose(env, &request).await
        }
        Command::Mapping(MappingCommand::Try { case, source, dataset, rows }) => {
            let request = ops::mapping::sample::TryRequest { case, source, dataset, rows };
            ops::mapping::sample::sample(env, &request).await
        }
        Command::Mapping(MappingCommand::Explain { case, dataset }) => {
            ops::mapping::explain::explain(env, &case, dataset.as_deref()).await
        }
        Command::Schema => {
            Ok(Answer { text: crate::schema::page::markdown(), json: crate::schema::page::json(), exit: Exit::Success })
        }
        Command::Completions { shell } => Ok(completions(shell)),
        Command::Man => manual(),
    }
}

fn check_options(options: super::args::CheckOptions) -> ops::check::CheckOptions {
    ops::check::CheckOptions {
        sets: options.set,
        pack: options.policy,
        as_of: options.as_of,
        window: options.window,
        decided_on: options.decided_on,
        fail_on: Severity::from_word(&options.fail_on),
        keyring: options.keyring,
        profile: options.profile,
        memory_bytes: usize::try_from(options.memory_mib << 20).unwrap_or(usize::MAX),
    }
}

fn languages(list: &str) -> Result<Vec<Lang>, Error> {
    let mut out = Vec::new();
    for word in list.split(',').map(str::trim) {
        match word {
            "zh" => out.push(Lang::Zh),
            "en" => out.push(Lang::En),
            other => {
                return Err(Error::Usage {
                    message: format!("`{other}` is not a language of reports"),
                    zh: "可选：zh、en，以逗号分隔。".into(),
                    en: "accepted: zh, en, separated by commas".into(),
                });
            }
        }
    }
    out.dedup();
    Ok(out)
}
