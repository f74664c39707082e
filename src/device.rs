//! The machines that do the numerical work; the only file that knows which burn backends are compiled in.

#[cfg(test)]
pub(crate) mod elsewhere;

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Where tensors live and are computed. All variants always exist; one whose backend is not compiled in answers with an
/// [`Error::Device`] that names the cargo feature to enable.
///
/// # Example
/// ```
/// use freelunch::Device;
/// assert_eq!("cuda:1".parse::<Device>()?, Device::Cuda(1));
/// assert!(Device::Cpu.check().is_ok());
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Device {
    /// burn-flex on the processor's cores.
    Cpu,
    /// An NVIDIA GPU by index, through burn-cuda (feature `cuda`).
    Cuda(usize),
    /// The default GPU of the Vulkan driver, through burn-wgpu with SPIR-V (feature `vulkan`).
    Vulkan,
    /// The default GPU, through burn-wgpu with WGSL: over Vulkan, Metal or DirectX, whichever the machine has (feature `wgpu`).
    Wgpu,
    /// A device of another process or machine, `ws://host:port`, through burn-remote (feature `remote`).
    Remote(String),
}

impl Device {
    /// The device named by the environment variable `FREELUNCH_DEVICE`, else the CPU.
    ///
    /// # Errors
    /// [`Error::Config`] when the variable holds something else than `cpu`, `cuda`, `cuda:N`, `vulkan`, `wgpu` or `remote:ws://host:port`.
    pub fn best() -> Result<Self> {
        match std::env::var("FREELUNCH_DEVICE") {
            Ok(name) => name.parse(),
            Err(_) if cfg!(feature = "cuda") => Ok(Self::Cuda(0)),
            Err(_) => Ok(Self::Cpu),
        }
    }

    /// Whether the backend is compiled in.
    ///
    /// # Errors
    /// [`Error::Device`] with the name of the missing feature.
    pub fn check(&self) -> Result<()> {
        self.open().map(|_| ())
    }

    /// Hosts this device for other processes and machines at `address`, such as `127.0.0.1:3000`, until the process ends: they name it
    /// `Device::Remote("ws://127.0.0.1:3000")`. The address is open to whoever can reach it, unencrypted and without a password: stay on
    /// this machine or a network you trust.
    ///
    /// # Errors
    /// [`Error::Device`] without the feature `remote` or this device's own, when it is remote itself, or when the address cannot be used.
    pub fn serve(&self, address: &str) -> Result<()> {
        let device = self.open()?;
        #[cfg(feature = "remote")]
        {
            let failed = |e: &dyn fmt::Display| Error::device(self, format!("cannot be served at {address}: {e}"), "choose a free address");
            let listener = std::net::TcpListener::bind(address).map_err(|e| failed(&e))?;
            let transport = burn::server::WebSocketTransport::from_listener(listener);
            burn::server::RemoteServer::new([device]).serve(transport).map_err(|e| failed(&e))
        }
        #[cfg(not(feature = "remote"))]
        {
            drop(device);
            Self::Remote(address.to_string()).check()
        }
    }

    /// Every kind of device with the feature it needs and whether this build has it.
    #[must_use]
    pub fn kinds() -> Vec<DeviceKind> {
        let kind = |name, feature, compiled| DeviceKind { name, feature, compiled };
        vec![
            kind("Cpu", "cpu", cfg!(feature = "cpu")),
            kind("Cuda", "cuda", cfg!(feature = "cuda")),
            kind("Vulkan", "vulkan", cfg!(feature = "vulkan")),
            kind("Wgpu", "wgpu", cfg!(feature = "wgpu")),
            kind("Remote", "remote", cfg!(feature = "remote")),
        ]
    }

    pub(crate) fn open(&self) -> Result<burn::tensor::Device> {
        match self {
            #[cfg(feature = "cpu")]
            Self::Cpu => Ok(burn::tensor::Device::flex()),
            #[cfg(feature = "cuda")]
            Self::Cuda(index) => Ok(burn::tensor::Device::cuda(*index)),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => Ok(burn::tensor::Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Ok(burn::tensor::Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "remote")]
            Self::Remote(url) => {
                let host = burn::tensor::remote::RemoteHost::websocket(url);
                burn::tensor::Device::remote_options(&host).init().map_err(|e| {
                    let remedy = "start a burn-remote server at that address, ws://host:port, and try again";
                    Error::device(self, format!("cannot be connected: {e}"), remedy)
                })
            }
            #[allow(unreachable_patterns)]
            other => {
                let feature = other.feature();
                Err(Error::device(
                    other,
                    format!("not compiled in, it needs the cargo feature `{feature}`"),
                    format!("build with `--features {feature}`, or use Device::Cpu"),
                ))
            }
        }
    }

    /// What to do when work on it failed.
    fn remedy(&self) -> &'static str {
        match self {
            Self::Cpu => "use smaller batches or a narrower network",
            Self::Cuda(_) => {
                "use smaller batches or a narrower network; on a machine without a CUDA driver use Device::Cpu (FREELUNCH_DEVICE=cpu)"
            }
            Self::Vulkan => {
                "use smaller batches or a narrower network; on a machine without a Vulkan driver use Device::Cpu (FREELUNCH_DEVICE=cpu)"
            }
            Self::Wgpu => {
                "use smaller batches or a narrower network; on a machine without a GPU's driver use Device::Cpu (FREELUNCH_DEVICE=cpu)"
            }
            Self::Remote(_) => "see that the server runs and can be reached, then do it again: a lab that keeps finds what was finished",
        }
    }

    fn feature(&self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda(_) => "cuda",
            Self::Vulkan => "vulkan",
            Self::Wgpu => "wgpu",
            Self::Remote(_) => "remote",
        }
    }
}

/// Runs numerical work; a panic of the backend (out of memory, a lost device) becomes an [`Error::Device`].
pub(crate) fn guarded<T>(device: &Device, work: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        let what = format!("the backend failed: {}", text.unwrap_or("no message"));
        Err(Error::device(device, what, device.remedy()))
    })
}

/// Whether tensors of this burn device live in the processor's memory.
pub(crate) fn is_cpu(device: &burn::tensor::Device) -> bool {
    #[cfg(test)]
    if elsewhere::pretended() {
        return false;
    }
    #[cfg(feature = "cpu")]
    return *device == burn::tensor::Device::flex();
    #[cfg(not(feature = "cpu"))]
    return false;
}

/// One kind of [`Device`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceKind {
    /// The variant's name.
    pub name: &'static str,
    /// The cargo feature that compiles it in.
    pub feature: &'static str,
    /// Whether this build has it.
    pub compiled: bool,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => write!(f, "cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Vulkan => write!(f, "vulkan"),
            Self::Wgpu => write!(f, "wgpu"),
            Self::Remote(url) => write!(f, "remote:{url}"),
        }
    }
}

impl FromStr for Device {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let unknown = || Error::config(format!("device is {name:?}"), "expected cpu, cuda, cuda:N, vulkan, wgpu or remote:ws://host:port");
        match name.split_once(':') {
            None if name == "cpu" => Ok(Self::Cpu),
            None if name == "cuda" => Ok(Self::Cuda(0)),
            None if name == "vulkan" => Ok(Self::Vulkan),
            None if name == "wgpu" => Ok(Self::Wgpu),
            Some(("cuda", index)) => index.parse().map(Self::Cuda).map_err(|_| unknown()),
            Some(("remote", url)) if !url.is_empty() => Ok(Self::Remote(url.to_string())),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for device in [Device::Cpu, Device::Cuda(3), Device::Vulkan, Device::Wgpu, Device::Remote("ws://host:3000".into())] {
            assert_eq!(device.to_string().parse::<Device>().unwrap(), device);
        }
        assert!("gpu".parse::<Device>().unwrap_err().to_string().contains("\"gpu\""));
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_missing_backend_names_its_feature() {
        let message = Device::Cuda(0).check().unwrap_err().to_string();
        assert!(message.contains("cuda:0") && message.contains("--features cuda"), "{message}");
    }
}
