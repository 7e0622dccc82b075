use super::*;
use crate::{
    alarm::{AlarmKind, Alarms},
    pin::test_server::content,
};
use bsp_codec::dag::cid_of;
use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Waits until something is so. Time is the runtime's, which passes at once.
async fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let done = async || is_so().then_some(());
    bsp_tests::wait::wait_for(what, Duration::from_secs(60), done).await.unwrap();
}

/// Holds what it is given, unless it is down or stubborn.
#[derive(Debug, Default)]
struct Fake {
    is_down: AtomicBool,
    is_stubborn: AtomicBool,
    is_local: bool,
    held: Mutex<HashSet<Cid>>,
    bytes: Mutex<Vec<Bytes>>,
    attempts: AtomicUsize,
}

impl Fake {
    fn new() -> Arc<Self> {
        Arc::default()
    }

    fn down() -> Arc<Self> {
        Arc::new(Self { is_down: true.into(), ..Self::default() })
    }

    fn has(&self, content: &Content) -> bool {
        self.held.lock().unwrap().contains(&content.cid)
    }

    fn come_up(&self) {
        self.is_down.store(false, Ordering::SeqCst);
    }
}

#[async_trait]
impl Pinner for Fake {
    fn name(&self) -> String {
        "fake".to_owned()
    }

    async fn pin(&self, content: &Content) -> Result<(), PinError> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        if self.is_down.load(Ordering::SeqCst) {
            return Err(PinError::Temporary { pinner: self.name(), reason: "down".to_owned() });
        }
        if self.is_stubborn.load(Ordering::SeqCst) {
            let (computed, returned) = (Box::new(content.cid), "bafkother".to_owned());
            return Err(PinError::OtherCid { pinner: self.name(), computed, returned });
        }
        self.held.lock().unwrap().insert(content.cid);
        self.bytes.lock().unwrap().push(content.bytes.clone());
        Ok(())
    }

    async fn holds(&self, content: &Content) -> Result<bool, PinError> {
        if self.is_down.load(Ordering::SeqCst) {
            return Err(PinError::Temporary { pinner: self.name(), reason: "down".to_owned() });
        }
        Ok(self.has(content))
    }

    async fn check(&self) -> Result<String, PinError> {
        Ok(String::new())
    }

    fn is_local(&self) -> bool {
        self.is_local
    }

    async fn local_content(&self, cid: &Cid) -> Result<Option<Bytes>, PinError> {
        let bytes = self.bytes.lock().unwrap();
        Ok(bytes.iter().find(|bytes| cid_of(bytes) == *cid).cloned())
    }
}

struct Scene {
    several: Arc<Several>,
    retry: Retry,
}

impl Scene {
    fn new(members: &[&Arc<Fake>], rule: Enough) -> Self {
        let (alarm, alarms) = (AlarmKind::PinnerFailing, Alarms::default());
        let retry = Retry { alarm, alarms, stop: CancellationToken::new() };
        let members = members.iter().map(|&fake| Arc::clone(fake) as Arc<dyn Pinner>).collect();
        Self { several: Arc::new(Several::start(members, rule, &retry)), retry }
    }

    fn has_alarm(&self, kind: AlarmKind) -> bool {
        self.retry.alarms.raised().contains_key(&kind)
    }

    /// Begins to pin, and goes on with the test.
    fn begin(&self, content: &Content) -> tokio::task::JoinHandle<Result<(), PinError>> {
        let (several, content) = (Arc::clone(&self.several), content.clone());
        tokio::spawn(async move { several.pin(&content).await })
    }
}

#[tokio::test(start_paused = true)]
async fn with_all_one_that_is_down_delays_the_proof() {
    let (up, down) = (Fake::new(), Fake::down());
    let scene = Scene::new(&[&up, &down], Enough::All);
    let content = content(1);
    let pinning = scene.begin(&content);
    wait_for("the alarm", || scene.has_alarm(AlarmKind::PinnerFailing)).await;
    assert!(up.has(&content) && !pinning.is_finished());
    assert!(scene.several.holds(&content).await.is_err(), "nobody can tell");
    down.come_up();
    pinning.await.unwrap().unwrap();
    assert!(down.has(&content));
    assert_eq!(up.attempts.load(Ordering::SeqCst), 1, "what is done is not done again");
    assert!(!scene.has_alarm(AlarmKind::PinnerFailing));
    assert!(scene.several.holds(&content).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn when_enough_hold_it_the_others_get_it_later() {
    let (up, also_up, down) = (Fake::new(), Fake::new(), Fake::down());
    let scene = Scene::new(&[&down, &up, &also_up], Enough::AtLeast(2));
    let contents: Vec<_> = (1..5).map(content).collect();
    for content in &contents {
        scene.several.pin(content).await.unwrap();
        assert!(up.has(content) && also_up.has(content) && !down.has(content));
        assert!(scene.several.holds(content).await.unwrap());
    }
    wait_for("the alarm", || scene.has_alarm(AlarmKind::PinnerFailing)).await;
    down.come_up();
    wait_for("the rest", || contents.iter().all(|content| down.has(content))).await;
    wait_for("the alarm's end", || !scene.has_alarm(AlarmKind::PinnerFailing)).await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_read_again_where_it_is_kept() {
    let local = Arc::new(Fake { is_local: true, ..Fake::default() });
    let down = Fake::down();
    let scene = Scene::new(&[&local, &down], Enough::AtLeast(1));
    let content = content(100_000);
    scene.several.pin(&content).await.unwrap();
    wait_for("the alarm", || scene.has_alarm(AlarmKind::PinnerFailing)).await;
    let kept = local.bytes.lock().unwrap().pop().unwrap();
    assert_eq!(kept, content.bytes);
    down.come_up();
    wait_for("the alarm's end", || !scene.has_alarm(AlarmKind::PinnerFailing)).await;
    assert!(!down.has(&content), "it is gone where it was kept");
}

#[tokio::test(start_paused = true)]
async fn one_that_refuses_for_good_fails_the_proof_only_if_it_is_needed() {
    let (up, stubborn) = (Fake::new(), Fake::new());
    stubborn.is_stubborn.store(true, Ordering::SeqCst);
    let scene = Scene::new(&[&up, &stubborn], Enough::AtLeast(1));
    scene.several.pin(&content(1)).await.unwrap();
    wait_for("the alarm", || scene.has_alarm(AlarmKind::PinnerOtherCid)).await;
    for rule in [Enough::All, Enough::AtLeast(2)] {
        let scene = Scene::new(&[&up, &stubborn], rule);
        let error = scene.several.pin(&content(1)).await.unwrap_err();
        assert!(matches!(error, PinError::OtherCid { .. }), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_waiting() {
    let down = Fake::down();
    let scene = Scene::new(&[&down, &Fake::new()], Enough::All);
    let pinning = scene.begin(&content(1));
    wait_for("an attempt", || down.attempts.load(Ordering::SeqCst) > 0).await;
    scene.retry.stop.cancel();
    let error = pinning.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("the agent ends"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn memory_for_what_waits_has_a_bound() {
    let (up, down) = (Fake::new(), Fake::down());
    let scene = Scene::new(&[&up, &down], Enough::AtLeast(1));
    // That they have other names than their own does not matter here.
    let large = |index: u8| {
        let bytes = Bytes::from(vec![index; 12 << 20]);
        Content { name: index.to_string(), cid: cid_of(&[index]), bytes }
    };
    for index in 0..9 {
        scene.several.pin(&large(index)).await.unwrap();
    }
    wait_for("the alarm", || scene.has_alarm(AlarmKind::PinnerFailing)).await;
    down.come_up();
    wait_for("the alarm's end", || !scene.has_alarm(AlarmKind::PinnerFailing)).await;
    let held = || down.held.lock().unwrap().len();
    wait_for("what waits", || held() >= 5).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(held(), 5, "of 64 MiB");
}
