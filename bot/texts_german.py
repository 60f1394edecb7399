"""German."""

from __future__ import annotations

from dataclasses import asdict

from bot.texts import Texts
from bot.texts_accounts_german import GERMAN_ACCOUNTS
from bot.texts_links_german import GERMAN_LINKS

GERMAN = Texts(
    **asdict(GERMAN_ACCOUNTS),
    **asdict(GERMAN_LINKS),
    language="de",
    language_name="Deutsch",
    welcome=(
        "<b>Hallo{name}, ich bin Magpie.</b>\nSchick mir einen Link zu einem Video, einem Lied, einer Playlist oder einem Bilder-Beitrag, "
        "und ich schicke dir die Datei. Leite mir einen Kanalbeitrag weiter, und ich hebe seine Medien auf.\n\n"
        "Nur ein Stück? Schreib die Zeiten hinter den Link: <code>LINK 1:20-2:05</code>\n/help sagt den Rest."
    ),
    help=(
        "<b>Was ich kann</b>\n"
        "• <b>Ein Link, oder mehrere</b>: Ich zeige, was da ist und wie groß. Wähle, oder warte: Deine übliche Wahl startet von selbst.\n"
        "• <b>LINK 1:20-2:05</b>: nur dieses Stück.\n"
        "• <b>Playlist oder Kanal</b>: Wähle, welche Einträge; antworte auf die Karte mit einem Bereich wie <code>3-7</code>.\n"
        "• <b>Ein Bilder-Beitrag</b>: kommt als Album.\n"
        "• <b>Ein weitergeleiteter Kanalbeitrag</b>: Ich hebe seine Medien auf und biete seine Links an.\n"
        "• In einer Gruppe: Erwähne mich mit einem Link, oder antworte auf einen mit meinem Namen.\n\n"
        "/history was du hattest, zum erneuten Senden · <code>/history katzen</code> zum Suchen · <code>/history fehlgeschlagen</code>\n"
        "/status was gerade läuft · /cancel hält es an\n"
        "/settings deine übliche Wahl und deine Sprache\n"
        "/link diesen Chat mit einem Konto verbinden · /web auf den Webseiten anmelden\n"
        "/sessions dein Heruntergeladenes, zum Übernehmen oder Löschen · /cookies für Seiten, die eine Anmeldung wollen\n"
        "/privacy was ich aufhebe · /forget löscht es"
    ),
    privacy=(
        "<b>Was ich aufhebe</b>\n"
        "• Deine Telegram-Nummer, deinen Namen, deine Sprache und deine Einstellungen, bis du /forget sagst.\n"
        "• Die Links, die du geschickt hast, was daraus wurde, und die Dateien, bis du /forget sagst. "
        "Dateien, die auch andere wollten, bleiben bei ihnen.\n"
        "• Links, in denen ein Passwort oder ein Zugangswort stehen kann, verschlüsselt; was dahinter liegt, bekommst nur du.\n"
        "• Cookies, die du mir mit /cookies gegeben hast, verschlüsselt, bis du sie löschst. "
        "Sie gehen nur an ihre Seite, und nur für dich.\n"
        "• Was du getan hast, das die Sicherheit betrifft (Verbinden, Anmelden, Schlüssel), bis du /forget sagst.\n"
        "• Deine Nachrichten selbst: nur, bis ich geantwortet habe.\n"
        "Wer diesen Bot betreibt, kann sehen, was gespeichert ist. Sonst bekommt es niemand."
    ),
    site_fails="Downloads von <b>{host}</b> schlagen fehl: {failed} von {ended} in einer Stunde. Wahrscheinlich haben sich die Seiten"
    " geändert. <code>magpie update-extractors</code> installiert das neueste yt-dlp (dies ist {version}).",
    stranger="Hallo! Dieser Bot ist nur für Eingeladene. Deine Nummer ist <code>{id}</code>: Damit kann dich sein Besitzer einlassen.",
    you_own_it="Dieser Bot gehört jetzt dir: Du bist sein Verwalter. Schick mir einen Link, um anzufangen.",
    owner_link_used="Dieser Link wurde schon benutzt oder stimmt nicht. Ein neuer steht beim Start da, solange der Bot niemandem gehört.",
    blocked="Dein Konto ist gesperrt.",
    go_private="Das mache ich nur in einem privaten Chat.",
    go_private_button="Chat öffnen",
    no_link="Schick mir einen Link, oder leite mir einen Kanalbeitrag weiter. /help sagt, was ich kann.",
    not_a_link="„{text}“ ist kein Link, den ich öffnen kann; er muss aussehen wie https://example.com/video.",
    too_many_links="Ich habe die ersten {taken} von {count} Links genommen; schick mir die anderen in einer weiteren Nachricht.",
    not_for_scraping="Ich kann Kanalbeiträge aufheben; in einer solchen Nachricht ist nichts, was ich aufheben könnte.",
    unknown_command="Diesen Befehl kenne ich nicht. /help sagt, was ich kann.",
    went_wrong="Bei mir ist etwas schiefgegangen. Bitte versuch es noch einmal; kommt es wieder vor, sag dem Betreiber: <code>{id}</code>",
    command_help="Was ich kann",
    command_history="Was du hattest; mit Wörtern: suchen",
    command_status="Was gerade läuft",
    command_cancel="Anhalten, was läuft",
    command_settings="Deine übliche Wahl, deine Sprache",
    command_privacy="Was aufgehoben wird, und wie lange",
    command_forget="Alles über dich löschen",
    starts_soon="Startet gleich von selbst: <b>{choice}</b>",
    choose="Was möchtest du?",
    clip="✂️ {start} – {end}",
    subtitles="💬 Untertitel",
    subtitles_choose="In welcher Sprache?",
    cancel="✖ Abbrechen",
    wait="⏸ Ich wähle selbst",
    try_again="🔁 Noch einmal",
    lower_quality="⬇ Geringere Qualität",
    other_formats="🎚 Andere Formate",
    start_again="▶ Neu starten",
    send_again="📨 Noch einmal senden",
    back="‹ Zurück",
    items="{count} Einträge",
    items_more="mehr als {count} Einträge; ich kann die ersten {count} nehmen",
    range_chosen="Gewählt: {first}–{last}",
    range_help="Antworte auf diese Nachricht mit einem Bereich wie 3-7, um nur diese zu nehmen.",
    range_wrong="Wähle einen Bereich von 1 bis {count}, etwa <code>3-7</code>.",
    range_all="Alle {count}",
    range_first="Erste {count}",
    range_last="Letzte {count}",
    batch_title="{count} Links",
    pictures="{count} Bilder",
    pictures_get="🖼 Album",
    queued="⏳ In der Warteschlange",
    queued_behind="⏳ In der Warteschlange, {ahead} vor dir",
    waiting="⏳ Dieselbe Datei wird gerade schon geholt; du bekommst sie auch",
    looking="🔎 Ich sehe nach",
    downloading="⬇️ Wird heruntergeladen",
    converting="⚙️ Wird verarbeitet",
    storing="📦 Wird gespeichert",
    backing_off="⏳ Die Seite hat nicht geantwortet; gleich noch einmal",
    uploading="📤 Wird hochgeladen",
    items_done="{done} von {count} fertig",
    items_failed="{failed} fehlgeschlagen",
    list_done="✅ {done} von {count}",
    of_total="{done} von {total}",
    left="noch {time}",
    stopped="Angehalten.",
    done="✅ Fertig",
    job="Auftrag {id}",
    too_big_for_telegram="Die Datei hat {size}; Telegram nimmt von einem Bot {limit}. Hier ist stattdessen ein Link.",
    too_big_without_address=(
        "Die Datei hat {size}; Telegram nimmt von einem Bot {limit}. Sie ist gespeichert, aber ich kann keinen Link machen: "
        "Der Betreiber muss <code>MAGPIE_PUBLIC_URL</code> setzen."
    ),
    link_lives="Er gilt {time}.",
    link_button="⬇ {name}",
    no_longer_stored="Diese Datei ist nicht mehr gespeichert.",
    gone="Diese Taste führt nirgends mehr hin. Schick mir den Link noch einmal.",
    not_yours="Das gehört jemand anderem.",
    already="Das läuft schon.",
    nothing_to_stop="Da ist nichts mehr anzuhalten.",
    stopping="Wird angehalten …",
    starting="Los geht es.",
    kept="Gespeichert.",
    saved="💾 Aufgehoben: <b>{title}</b> ({size})",
    saved_where="Aus {channel}",
    post_too_big="Diese Datei hat {size}; Telegram lässt einen Bot höchstens {limit} holen.",
    post_failed="Telegram hat mir diese Datei nicht gegeben. Leite den Beitrag noch einmal weiter, dann versuche ich es wieder.",
    not_a_post="Ich hebe Medien aus Kanalbeiträgen auf. Leite mir einen weiter, oder schick mir einen Link.",
    history_title="<b>Was du hattest</b>",
    history_empty="Noch nichts. Schick mir einen Link.",
    history_none="Nichts gefunden zu „{words}“.",
    history_search="<b>Gefunden zu „{words}“</b>",
    history_failed="<b>Was nicht kam</b>",
    history_failed_none="Alles ist gekommen.",
    history_failed_only="⚠️ Nur Fehlgeschlagenes",
    history_failed_word="fehlgeschlagen",
    history_everything="Alles",
    history_from_chat="Chat",
    history_from_api="die API",
    history_from_link="ein beobachteter Link",
    history_from_source="ein Kanal",
    history_from_cli="die Kommandozeile",
    page="{first}–{last} von {count}",
    newer="‹ Neuere",
    older="Ältere ›",
    status_title="<b>Gerade läuft</b>",
    status_none="Gerade läuft nichts. Schick mir einen Link.",
    stop_all="✖ Alles anhalten",
    stop_all_done="Angehalten: {count}.",
    settings_title="<b>Einstellungen</b>\nWas du auf einer Karte wählst, merke ich mir; hier kannst du es ändern.",
    settings_default="Übliche Wahl: {choice}",
    settings_best="Bestes Video",
    settings_by_itself="Startet von selbst: {state}",
    settings_language="Sprache: {language}",
    settings_language_auto="wie in Telegram",
    on="ja",
    off="nein",
    forget_ask=(
        "<b>Alles löschen?</b>\nWas läuft, wird angehalten. Dein Verlauf, deine Einstellungen und die Dateien, die sonst niemand wollte, "
        "werden gelöscht, endgültig."
    ),
    forget_yes="🗑 Alles löschen",
    forget_no="Behalten",
    forgotten="Erledigt: Ich habe dich vergessen. Schreibst du wieder, fangen wir von vorn an.",
    not_forgotten="Es wurde nichts gelöscht.",
    forget_local="Dieser Chat gehört dem eingebauten Konto. Um alles zu löschen, halte Magpie an und lösche sein Datenverzeichnis.",
    failures={
        "error": "Bei mir ist etwas schiefgegangen.",
        "download_failed": "Das Herunterladen ist fehlgeschlagen.",
        "private": "Dieses Video ist privat.",
        "age_restricted": "Dieses Video hat eine Altersbeschränkung.",
        "geo_blocked": "Dieses Video gibt es in dem Land nicht, in dem ich laufe.",
        "sign_in_needed": "Die Seite will dafür einen angemeldeten Besucher.",
        "no_such_video": "Dieses Video gibt es nicht, oder es wurde entfernt.",
        "live_stream": "Das ist eine Live-Übertragung; sie kann geladen werden, wenn sie zu Ende ist.",
        "too_large": "Die Datei ist größer, als dieser Dienst erlaubt.",
        "too_long": "Das Medium ist länger, als dieser Dienst erlaubt.",
        "time_limit": "Das Herunterladen hat länger gedauert, als dieser Dienst erlaubt.",
        "no_room_for_list": "Für die Einträge dieser Liste ist kein Platz.",
        "not_a_list": "An dieser Adresse ist ein einzelnes Video, kein Kanal und keine Liste, die man beobachten kann.",
        "is_playlist": "Das ist eine Liste mit mehreren Einträgen, kein einzelner.",
        "unsupported": "An dieser Adresse ist nichts, was ich herunterladen kann.",
        "format_unavailable": "Das Medium gibt es in diesem Format oder dieser Qualität nicht.",
        "no_subtitles": "Dieses Video hat keine Untertitel.",
        "pictures_unsupported": "In diesem Beitrag sind Bilder, und dieser Dienst ist dafür nicht eingerichtet.",
        "clip_outside": "Das gewünschte Stück beginnt nach dem Ende.",
        "no_space": "Für dieses Herunterladen ist nicht genug Platz auf der Platte.",
        "network": "Die Seite war nicht zu erreichen, oder die Verbindung ist abgebrochen.",
        "throttled": "Die Seite bittet mich, langsamer zu machen.",
        "truncated": "Die Seite hat eine unvollständige Datei geschickt.",
        "ffmpeg": "Die Datei konnte nicht umgewandelt werden.",
        "worker_died": "Das Herunterladen ist unerwartet zu Ende gegangen.",
        "address_not_allowed": "Die Adresse führt in ein privates Netz; von dort hole ich nichts.",
        "interrupted_by_import": "Das lief gerade, als eine Sicherung eingespielt wurde. Frag noch einmal danach.",
        "needs_reentry": "Ein Geheimnis, das dafür nötig ist, lässt sich nicht mehr lesen. Gib es noch einmal an.",
        "link_not_found": "Diesen beobachteten Link gibt es nicht mehr.",
        "interrupted": "Ich wurde dabei zu oft unterbrochen.",
        "limit_reached": "Du hast deine Grenze erreicht; bitte versuch es später wieder.",
        "daily_jobs_reached": "Du hast deine Grenze an Downloads für einen Tag erreicht.",
        "daily_bytes_reached": "Du hast deine Grenze an Gigabyte für einen Tag erreicht.",
        "storage_full": "Du hast so viel gespeichert, wie du darfst: Lösche etwas mit /sessions.",
        "too_many_tries": "Das waren zu viele Versuche.",
        "code_invalid": "Dieser Code gilt nicht: Er wurde benutzt, ist abgelaufen, oder es gab ihn nie. Hol dir einen neuen.",
        "already_paired": "Dieser Chat ist schon mit einem Konto verbunden; trenne ihn zuerst mit /forget.",
        "blocked": "Dieses Konto ist gesperrt.",
        "last_superuser": "Dann könnte sich niemand mehr um diesen Bot kümmern: Mach zuerst ein anderes Konto zum Superuser.",
        "session_not_found": "Es gibt keine solche Download-Sitzung, die du übernehmen könntest.",
        "user_not_found": "Dieses Konto gibt es nicht mehr.",
        "busy": "Etwas anderes hat im selben Moment dasselbe geändert. Bitte versuch es noch einmal.",
        "not_paired": "Dieser Chat ist mit keinem Konto verbunden.",
        "invalid_cookies": "Das ist keine cookies.txt mit Cookies dieser Seite.",
        "cookies_not_found": "Von dieser Seite habe ich keine Cookies.",
        "forbidden": "Das darfst du nicht.",
        "host_blocked": "Von dieser Seite darf hier nichts heruntergeladen werden.",
        "invalid_url": "Das ist keine Web-Adresse, die ich öffnen kann.",
        "file_gone": "Die Datei ist nicht mehr gespeichert.",
        "not_accepted": "Telegram hat die Datei nicht angenommen.",
        "may_be_there": "Ich wurde beim Senden zweimal unterbrochen. Vielleicht ist die Datei schon da; wenn nicht, sende ich sie erneut.",
        "chat_gone": "In diesen Chat darf ich keine Dateien schicken.",
        "not_delivered": "Die Datei konnte nicht an Telegram geschickt werden.",
    },
)
