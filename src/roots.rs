//! Certificates of authorities that a server is trusted by, besides the public ones.

use std::fmt;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// One certificate or more, parsed from PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Roots {
    certificates: Vec<CertificateDer<'static>>,
    /// The same as they were given: the AWS SDK takes no other form.
    pem: Vec<u8>,
}

impl Roots {
    /// `None`: it holds no certificate, or a broken one.
    pub fn parse(pem: Vec<u8>) -> Option<Roots> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<_, _>>()
            .ok()?;
        (!certificates.is_empty()).then_some(Roots { certificates, pem })
    }

    /// These, and others after them.
    #[must_use]
    pub fn and(mut self, others: Roots) -> Roots {
        self.certificates.extend(others.certificates);
        self.pem.push(b'\n');
        self.pem.extend(others.pem);
        self
    }

    /// Each certificate. PEM can hold anything: whether these are certificates is for [`Roots::check`] to say.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// The PEM they were parsed from.
    pub fn pem(&self) -> &[u8] {
        &self.pem
    }

    /// Whether each can be trusted as an authority.
    ///
    /// # Errors
    ///
    /// The position, from 1, of the first that is not a valid X.509 certificate.
    pub fn check(&self) -> Result<(), usize> {
        let mut store = RootCertStore::empty();
        for (number, certificate) in (1_usize..).zip(&self.certificates) {
            store.add(certificate.clone()).map_err(|_| number)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roots({})", self.certificates.len())
    }
}

#[cfg(test)]
mod tests {
    use super::Roots;

    const ROOT: &str = include_str!("aws/root_for_tests.pem");

    fn parse(pem: &str) -> Option<Roots> {
        Roots::parse(pem.as_bytes().to_vec())
    }

    #[test]
    fn a_bundle_of_certificates_is_accepted() {
        for (pem, count) in [
            (ROOT.to_owned(), 1),
            (format!("a comment\n{ROOT}{ROOT}"), 2),
            (ROOT.trim_end().to_owned(), 1),
        ] {
            let roots = parse(&pem).unwrap();
            assert_eq!((roots.certificates().len(), roots.check()), (count, Ok(())));
            assert_eq!(roots.pem(), pem.as_bytes());
        }
    }

    #[test]
    fn what_holds_no_certificate_or_a_broken_one_is_refused() {
        let half = ROOT.replace("-----END CERTIFICATE-----", "");
        let broken = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
        for pem in ["", "just text", &half, broken] {
            assert_eq!(parse(pem), None, "{pem}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_told_by_its_place() {
        let none = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let merged = parse(ROOT.trim_end()).unwrap().and(parse(none).unwrap());
        assert_eq!(merged.check(), Err(2));
        assert_eq!(Roots::parse(merged.pem().to_vec()), Some(merged));
    }
}
