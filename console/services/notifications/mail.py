"""One mail to one address, by the mail server of the installation."""

from __future__ import annotations

import smtplib
import ssl
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from console.services.notifications.texts import Text
from console.services.webhooks.sender import ANSWER_SECONDS, Sent

NO_SERVER = "no mail server is set (EMAIL_URL)"


def send_mail(address: str, text: Text) -> Sent:
    """Send a mail; delivered is what the mail server has taken."""
    if not settings.EMAIL_URL:
        return Sent(error=NO_SERVER)
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    mail = EmailMessage(
        text.title,
        text.body,
        to=[address],
        # A mail that is sent twice is one mail to most mail programs.
        headers={
            "Message-ID": f"<{text.message_id}@{domain or 'localhost'}>",
            "Auto-Submitted": "auto-generated",
        },
        connection=get_connection(timeout=ANSWER_SECONDS),
    )
    try:
        mail.send()
    except smtplib.SMTPRecipientsRefused as error:
        code, _ = next(iter(error.recipients.values()))
        return Sent(status=code, error=f"the mail server answered {code}")
    except smtplib.SMTPResponseException as error:
        code = error.smtp_code
        return Sent(status=code, error=f"the mail server answered {code}")
    except ssl.SSLError as error:
        return Sent(error=f"TLS: {error.reason or 'failed'}")
    except TimeoutError:
        return Sent(error="no answer in time")
    except (smtplib.SMTPException, OSError) as error:
        name = type(error).__name__.removesuffix("Error")
        return Sent(error=f"no connection: {name}")
    return Sent(status=250)
