//! Everything a notebook needs: `use freelunch::prelude::*;`.

pub use crate::attack::{
    Attack, BayesianLikelihoodRatio, Calibrated, CalibratedLoss, Game, LabelOnly, LikelihoodRatio, LossThreshold, OnRelease, Pipeline,
    PredictionEntropy, RelativeLikelihood, Scores, ShadowClassifier, Signals, Slice, Stability, Vulnerability,
};
pub use crate::audit::{ClopperPearson, EpsilonAxis, Guesses, LowerBound, OneRun, Selection};
pub use crate::augment::{Augment, Choice, Operation, Pairing};
pub use crate::catalogue::catalogue;
pub use crate::condense::{
    DistributionMatching, GradientMatching, Herding, Init, KMeans, KernelInducingPoints, Labels, LinearMatching, RandomSubset,
    TrajectoryMatching,
};
pub use crate::data::{Dataset, Membership, Split, Whitening};
pub use crate::display::{Cell, Figure, ImageGrid, Plot, Preset, Show, Table, TableDisplay};
pub use crate::explain::{Explain, Explanation};
pub use crate::federated::{ClientData, ClientPrivacy, FederatedGame, FederatedMembership, Federation, FederationTable, Partition, Shares};
pub use crate::gan_attack::{GanAttack, GanAttackTable, Injection, with_fake_class};
pub use crate::generate::{
    Coder, Encoder, EncoderControls, EncoderReport, MeanEmbedding, MeanEmbeddingGenerator, NoisyGroupMeans, PrivateAutoencoder,
    PrivateDistributionMatching, PrivateGradientMatching, PrivateVae, VaeGenerator,
};
pub use crate::gradient_leakage::{ClientUpdate, GradientLeakage, LeakageByNoise};
pub use crate::inversion::{CodeDecoder, InversionQuality, InversionTable, InversionTarget, ModelInversion};
pub use crate::job::{Job, JobState, Runs};
pub use crate::leakage::{Leakage, LeakageReport, LeakageSummary, Lpips, Metric};
pub use crate::nn::{Arch, Layer, Loss, Optimizer};
pub use crate::privacy::{
    Accountant, AccountantKind, Adjacency, Calibrate, CentralLimit, DpSgd, Epsilon, EpsilonCurve, Event, ExactGaussian, Ledger, Noisy, Pld,
    PrivacyUtility, Randomness, Rdp, Recommended,
};
pub use crate::quality::{Quality, QualityReport};
pub use crate::released::{DensityRatio, NearestNeighbour, ReconstructionError, ReleaseAttack, Released, SeedMembership};
pub use crate::report::Report;
pub use crate::roc::Roc;
pub use crate::service::{BlackBox, CopyAttack, Defence, DefenceStudy, HttpClient, MembershipByService, Service, Serving};
pub use crate::stats::{MeanInterval, Rate};
pub use crate::synthesize::Synthesize;
pub use crate::train::{Evaluation, KernelModel, KernelRidge, Model, Precision, Schedule, Train};
pub use crate::{Device, Error, Lab, Result};
