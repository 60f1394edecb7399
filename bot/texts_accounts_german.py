"""What the bot says about accounts. German."""

from __future__ import annotations

from bot.texts_accounts import AccountTexts

GERMAN_ACCOUNTS = AccountTexts(
    command_link="Diesen Chat mit einem Konto verbinden",
    command_sessions="Download-Sitzungen: übernehmen, löschen",
    command_cookies="Cookies von Seiten, die eine Anmeldung wollen",
    command_web="Ein Link, der dich auf den Webseiten anmeldet",
    link_own="Dieser Chat hat ein eigenes Konto: <code>{name}</code>.",
    link_local="Dieser Chat gehört dem eingebauten Konto: <code>{name}</code>.",
    link_paired="Dieser Chat ist mit dem Konto <b>{name}</b>{address} verbunden.",
    link_paired_also="Auch damit verbunden: {names}",
    link_how="Um diesen Chat mit einem Konto zu verbinden, hol dir dort einen Code und schick mir <code>/link CODE</code>.",
    link_unclaimed="<b>Herrenlose Downloads, die dieses Konto nennen</b>",
    link_unclaimed_all="<b>Herrenlose Downloads</b>",
    link_offer="<b>Mit diesem Konto verbinden?</b>\n<b>{name}</b>{address}",
    link_number="Vergleiche diese Zahl mit der auf deinem anderen Bildschirm: <b>{number}</b>",
    link_moves="Was du in diesem Chat hattest, zieht dorthin um: {history} Einträge im Verlauf, {files} Dateien.",
    link_ends_keys="API-Schlüssel, die du für diesen Chat gemacht hast, gelten nicht mehr: {count}.",
    link_moves_cookies="Auch die Cookies von {count} Seiten ziehen um.",
    link_moves_nothing="Du hast hier noch nichts, was umziehen würde.",
    link_join="Verbinden",
    link_no="Nein",
    link_joined="Erledigt: Dieser Chat ist mit <b>{name}</b> verbunden.",
    link_not_joined="Es wurde nichts verbunden.",
    claim="📥 Übernehmen: {number}",
    claimed="Das gehört jetzt dir.",
    sessions_title="<b>Heruntergeladen</b>",
    sessions_empty="Von dir ist nichts heruntergeladen.",
    sessions_unclaimed="<b>Herrenlos</b>, aber sie nennen dich",
    sessions_unclaimed_all="<b>Herrenlos</b>",
    sessions_line="{title} · Aufträge: {jobs} · {date}",
    sessions_untitled="ohne Titel",
    sessions_delete_ask=(
        "<b>Das Heruntergeladene löschen?</b>\n{title}\nAufträge: {jobs}, Dateien: {files}. Was läuft, wird angehalten. "
        "Dateien, die auch zu einem anderen Auftrag gehören, bleiben dort, und dein Verlauf bleibt."
    ),
    sessions_delete_yes="🗑 Löschen",
    sessions_delete_no="Behalten",
    sessions_deleted="Gelöscht.",
    web_link="Damit meldest du dich an, einmal, innerhalb von {minutes} Minuten. Gib es niemandem.\n{link}",
    web_without_address=(
        "Ich kann keinen Link machen: Der Betreiber muss <code>MAGPIE_PUBLIC_URL</code> auf seine öffentliche Adresse setzen."
    ),
    cookies_title="Cookies von Seiten",
    cookies_help=(
        "Manche Seiten zeigen etwas nur, wenn man dort angemeldet ist. Gib mir die Cookies der Seite, und deine Downloads nutzen sie.\n\n"
        "Exportiere sie im Browser als <code>cookies.txt</code>, und schick mir die Datei mit der Beschriftung "
        "<code>/cookies youtube.com</code> oder als Antwort auf diese Nachricht. Ich lösche deine Nachricht sofort, hebe die Cookies "
        "verschlüsselt auf, zeige sie niemandem und schicke sie nur an diese Seite."
    ),
    cookies_list="<b>Für dich aufgehoben</b>",
    cookies_drop="🗑 {site} löschen",
    cookies_dropped="Die Cookies von {site} sind gelöscht.",
    cookies_stored="🍪 Die Cookies von <b>{site}</b> sind aufgehoben.",
    cookies_which_site="Von welcher Seite? Schick die Datei noch einmal, mit einer Beschriftung wie <code>/cookies youtube.com</code>.",
    cookies_deleted="Deine Nachricht damit ist gelöscht.",
    cookies_not_deleted="Telegram lässt mich deine Nachricht mit den Cookies nicht löschen: Bitte lösch sie selbst.",
    cookies_not_there="Telegram hat mir diese Datei nicht gegeben. Bitte schick sie noch einmal.",
    cookies_as_file="Cookies nehme ich nur als Datei: Schick mir die <code>cookies.txt</code> selbst.",
    users_title="<b>Konten</b>",
    users_none="Es gibt noch kein Konto.",
    users_blocked="🚫 gesperrt",
    users_superuser="Superuser",
    users_trusted="vertraut",
    users_user="einfach",
    users_used="{jobs} von {max_jobs} Downloads und {bytes} von {max_bytes} heute, {stored} von {max_stored} gespeichert",
    users_used_freely="{jobs} Downloads und {bytes} heute, {stored} gespeichert",
    users_block="🚫 Sperren: {number}",
    users_unblock="Entsperren: {number}",
    users_trust="Vertraut: {number}",
    users_untrust="Einfach: {number}",
    stats_title="<b>Zahlen</b>",
    stats_jobs="Läuft: {running} · wartet: {queued}",
    stats_stored="Gespeichert: {size} in {files} Dateien",
    stats_accounts="Konten: {count}",
    stats_failures="<b>Was am letzten Tag fehlschlug</b>",
    stats_no_failures="Am letzten Tag schlug nichts fehl.",
    forget_which=(
        "<b>Was löschen?</b>\nDieser Chat ist mit dem Konto <b>{name}</b> verbunden.\n"
        "• <b>Nur diesen Chat</b>: Ich vergesse deine Telegram-Nummer, deinen Namen und die Karten in diesem Chat. "
        "Was heruntergeladen wurde, bleibt beim Konto.\n"
        "• <b>Das ganze Konto</b>: Verlauf, Dateien, Schlüssel, Cookies und Einstellungen werden gelöscht, endgültig, "
        "und niemand kann sich mehr damit anmelden."
    ),
    forget_identity="Nur diesen Chat",
    forget_account="🗑 Das ganze Konto",
    forgot_identity=(
        "Erledigt: Dieser Chat ist nicht mehr verbunden, und ich habe dich hier vergessen. Das Konto behält das Heruntergeladene."
    ),
    come_back="In {time} geht es wieder.",
)
