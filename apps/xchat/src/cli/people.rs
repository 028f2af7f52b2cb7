//! Meeting people and making sure of them.

use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;
use xchat_client::{Command, Contact, ErrorKind, Event, Invitation};

use super::failures::of_kind;
use super::output::Output;
use super::show::{self, printable};
use super::{Here, Patience};
use crate::daemon::Daemon;
use crate::daemon::connect::Place;
use crate::failure::Failure;

pub(super) async fn invite(
    here: &Here<'_>,
    patience: Patience,
    out: Output,
) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Invited {
        link: String,
    }
    let daemon = here.daemon().await?;
    let invited: Invited = daemon.command(&Command::Invite, Some(patience.within())).await?;
    out.line(&json!({ "link": invited.link }), || invited.link.clone())?;
    out.remark(|| {
        "\nGive it to one person, by a way that you trust. It works once, for 14 days.".to_owned()
    })
}

pub(super) async fn invitations(here: &Here<'_>, out: Output) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Listed {
        invitations: Vec<Invitation>,
    }
    let daemon = here.daemon().await?;
    let Listed { invitations } = daemon.command(&Command::Invitations, None).await?;
    for each in &invitations {
        out.line(each, || show::invitation(each))?;
    }
    if invitations.is_empty() {
        return out.remark(|| "No open invitations. `xchat invite` makes one.".to_owned());
    }
    Ok(())
}

pub(super) async fn withdraw(
    here: &Here<'_>,
    invitation: String,
    out: Output,
) -> Result<(), Failure> {
    let daemon = here.daemon().await?;
    let command = Command::Withdraw { invitation: invitation.clone() };
    let _: serde_json::Value = daemon.command(&command, None).await?;
    out.line(&json!({ "withdrawn": invitation }), || {
        "It is being withdrawn. If somebody was faster, they are a contact soon.".to_owned()
    })
}

pub(super) async fn accept(
    here: &Here<'_>,
    link: String,
    patience: Patience,
    out: Output,
) -> Result<(), Failure> {
    let daemon = here.daemon().await?;
    let command = Command::Accept { link: link.trim().to_owned() };
    let contact: Contact = daemon.command(&command, Some(patience.within())).await?;
    out.line(&contact, || {
        let name = printable(&contact.name);
        format!(
            "You and {name} are now in contact.\n\
             Not compared yet: `xchat verify {}` shows the number that both of you should see.",
            show::shell_word(&contact)
        )
    })
}

async fn list(daemon: &Daemon) -> Result<Vec<Contact>, Failure> {
    #[derive(Deserialize)]
    struct Listed {
        contacts: Vec<Contact>,
    }
    let listed: Listed = daemon.command(&Command::Contacts, None).await?;
    Ok(listed.contacts)
}

pub(super) async fn contacts(here: &Here<'_>, out: Output) -> Result<(), Failure> {
    let contacts = list(&here.daemon().await?).await?;
    if contacts.is_empty() {
        return out.remark(|| {
            "No contacts yet. `xchat invite` makes a link for one, `xchat accept` takes one."
                .to_owned()
        });
    }
    let width = show::width(contacts.iter().map(|contact| contact.name.as_str()));
    for contact in &contacts {
        out.line(contact, || show::contact(contact, width))?;
    }
    Ok(())
}

pub(super) async fn wait_for(
    here: &Here<'_>,
    named: &str,
    patience: Patience,
    out: Output,
) -> Result<(), Failure> {
    let daemon = here.daemon().await?;
    let is = |contact: &Contact| {
        contact.name == named
            || contact.contact.to_hex() == named
            || contact.conversation.to_hex() == named
    };
    let waiting = async {
        // Before the list, so that nothing falls between the two.
        let stopped = || of_kind(ErrorKind::Stopped, "the daemon has stopped");
        let mut events = daemon.events(Place::default()).await?.ok_or_else(stopped)?;
        if let Some(known) = list(&daemon).await?.into_iter().find(is) {
            return Ok(known);
        }
        loop {
            match events.next().await.map(|numbered| numbered.event) {
                Some(Event::Contact(contact)) if is(&contact) => return Ok(contact),
                Some(_) => {}
                None => return Err(stopped()),
            }
        }
    };
    let contact = timeout(patience.within(), waiting).await.unwrap_or_else(|_| {
        let text = format!("there is no contact “{}” yet", printable(named));
        Err(of_kind(ErrorKind::Timeout, text))
    })?;
    out.line(&contact, || show::contact(&contact, show::width([contact.name.as_str()])))
}

pub(super) async fn verify(
    here: &Here<'_>,
    contact: String,
    equal: bool,
    undo: bool,
    out: Output,
) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Number {
        safety_number: String,
    }
    let daemon = here.daemon().await?;
    let ask = Command::SafetyNumber { contact: contact.clone() };
    let Number { safety_number } = daemon.command(&ask, None).await?;
    if !(equal || undo) {
        out.line(&json!({ "safety_number": safety_number }), || {
            show::safety_number(&safety_number)
        })?;
        return out.remark(|| {
            let name = printable(&contact);
            format!(
                "\n{name} should see the same number: compare face to face or in a call.\n\
                 If it is equal: `xchat verify {name} --equal`. If not, somebody is between you."
            )
        });
    }
    let command = Command::SetVerified { contact, verified: equal };
    let contact: Contact = daemon.command(&command, None).await?;
    let json = json!({ "safety_number": safety_number, "verified": contact.verified });
    out.line(&json, || {
        let name = printable(&contact.name);
        let word = if contact.verified { "verified" } else { "not verified any more" };
        format!("{name} is {word}.")
    })
}
