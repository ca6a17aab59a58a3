// Copyright (C) Spaces for nginx contributors

// Every word of the pages, in every language they speak. "{name}" is filled in;
// an array is [one, several], chosen by "count". Another language is another
// object here, and its name in "languages".

export const languages = { en: 'English', fr: 'Français' };

const en = {
    'brand': 'Spaces',
    'skip': 'Skip to content',
    'close': 'Close',
    'cancel': 'Cancel',
    'copy': 'Copy',
    'copied': 'Copied',
    'again': 'Try again',
    'loading': 'Loading…',
    'offline': 'You are offline. What is live comes back when your connection does.',
    'by': 'Hosted by {name}',
    'topics': 'Topics',
    'volume': 'Volume',
    'languages': 'Language of these pages',
    'time.now': 'just now',
    'footer': 'Live audio rooms, recorded and replayed by nginx.',

    'nav.timeline': 'Timeline',
    'nav.studio': 'Start a Space',
    'studio': 'Studio',

    'login.title': 'Log in',
    'login.as': 'Logged in as {name}. Change',
    'login.name': 'Your name',
    'login.go': 'Continue',
    'login.out': 'Log out',
    'login.first': 'Who is hosting?',
    'login.first.text': 'A Space has a host. Log in, then give it a title.',
    'demo.title': 'This is a demonstration.',
    'demo.text': 'There is no password: whatever name you type is believed, and anybody may type the same. A real site puts its own login here.',

    'state.live': 'Live',
    'state.scheduled': 'Coming up',
    'state.ended': 'Ended',

    'rec.will': 'This Space will be recorded',
    'rec.now': 'This Space is being recorded',
    'rec.was': 'This Space was recorded',
    'rec.not': 'This Space is not being recorded',
    'rec.short.scheduled': 'Will be recorded',
    'rec.short.live': 'Recording',
    'rec.short.ended': 'Recorded',

    'timeline.title': 'Listen in',
    'timeline.lead': 'Conversations as they happen, and afterwards for as long as their hosts keep them.',
    'timeline.live': 'Live now',
    'timeline.scheduled': 'Coming up',
    'timeline.ended': 'Recordings',
    'timeline.more': 'Show older recordings',
    'timeline.empty': 'Nobody has talked yet',
    'timeline.empty.text': 'Be the first: start a Space, and it appears here the moment it is live.',
    'timeline.none': 'Nothing fits',
    'timeline.none.text': 'No Space has this topic and language.',
    'timeline.failed': 'The timeline could not be loaded',
    'timeline.back': 'To the timeline',
    'timeline.shown': ['One Space shown', '{n} Spaces shown'],
    'filter': 'Filter',
    'filter.topic': 'Topic',
    'filter.language': 'Language',
    'filter.any': 'Any language',
    'filter.clear': 'Clear',
    'filter.by': 'Showing the topic {topic}',

    'card.since': 'began {when}',
    'listeners': ['{n} listener', '{n} listeners'],
    'replays': ['{n} replay', '{n} replays'],

    'visibility.public': 'Public',
    'visibility.public.text': 'In the timeline, for anyone to hear.',
    'visibility.unlisted': 'By link only',
    'visibility.unlisted.text': 'In no list. Who has a link from you can listen.',
    'visibility.ticketed': 'With a ticket',
    'visibility.ticketed.text': 'In the timeline, heard with a ticket from you.',

    'player.of': 'Player: {title}',
    'player.listen': 'Listen',
    'player.listen.to': 'Listen: {title}',
    'player.play': 'Play',
    'player.pause': 'Pause',
    'player.back': 'Back 15 seconds',
    'player.forward': 'Forward 15 seconds',
    'player.seek': 'Position',
    'player.position': '{at} of {length}',
    'player.speed': 'Speed',
    'player.speed.now': 'Speed {speed}',
    'player.who': 'Who spoke when',
    'player.jumpto': '{name}, first heard at {at}',
    'player.cannot': 'This browser cannot play Ogg Opus. Download the recording, or try another browser.',
    'player.failed': 'The recording could not be played.',
    'download': 'Download',
    'share': 'Share',
    'delete': 'Delete',
    'keys': 'Keyboard',
    'keys.text': 'Space or K plays and pauses. J and L, or the arrows, go 15 seconds back and forward. 0 to 9 jump to that tenth, < and > change the speed.',

    'share.title': 'The link is copied',
    'share.here': 'Share this recording',
    'share.link': 'Link to the recording',
    'share.link.hint': 'It opens for whoever has it, until the recording is gone or the host revokes it.',
    'share.at': 'Link to this moment, {at}',
    'share.listen': 'Invite listeners',
    'share.listen.link': 'Link to listen',
    'share.listen.public': 'Anyone can listen with it, now and later.',
    'share.listen.unlisted': 'The link holds a key: it opens for whoever has it.',
    'share.listen.ticketed': 'The link is a ticket, one seat: send it to one person, and make another for the next.',

    'live.listen': 'Listen live',
    'live.listen.to': 'Listen live: {title}',
    'live.stop': 'Stop',
    'live.start': 'From the beginning',
    'live.now': 'Back to the present',
    'live.connecting': 'Connecting…',
    'live.reconnecting': 'The connection was lost. Coming back…',
    'live.failed': 'There is no connection. Try again in a moment.',
    'live.playing': 'You hear it live',
    'live.playing.start': 'You hear it from the beginning',
    'live.ended': 'The Space has ended',

    'waiting': 'The host has not begun yet',
    'waiting.text': 'Leave this page open: it changes by itself the moment the Space is live.',

    'space.none': 'There is no such Space',
    'space.gone': 'The recording was deleted',
    'space.gone.text': 'Its host has deleted it. Nobody can play it any more, and links to it no longer work.',
    'space.expired': 'The recording has expired',
    'space.expired.text': 'Its time is over, and nobody can play it any more.',
    'space.over': 'This Space has ended',
    'space.over.text': 'It was not recorded, so there is nothing to replay.',
    'space.failed': 'The Space could not be loaded',
    'space.ticket': 'This Space is heard with a ticket',
    'space.ticket.label': 'Your ticket',
    'space.ticket.go': 'Enter',
    'space.until': 'It can be replayed until {day}.',

    'room': 'In the room',
    'room.host': 'Host',
    'room.speaker': 'Speaker',
    'room.speaking': 'Speaking',
    'room.muted': 'Muted by the host',
    'room.mute': 'Mute',
    'room.mute.who': 'Mute {name}',
    'room.unmute': 'Unmute',
    'room.unmute.who': 'Unmute {name}',
    'room.remove': 'Remove',
    'room.remove.who': 'Remove {name}',
    'room.remove.text': 'They are cut off at once, and their invitation no longer works.',
    'room.level': 'The others',

    'studio.start': 'Start a Space',
    'studio.another': 'Start another Space',
    'studio.open': 'Open the studio',
    'studio.new': 'Start a Space',
    'studio.new.text': 'Name it, try your microphone, and go live when you are ready.',
    'studio.golive': 'Go live',
    'studio.again': 'Go on talking',
    'studio.join': 'Join and talk',
    'studio.wait': 'The host has not begun yet. You can join the moment they do.',
    'studio.closed': 'This studio is not yours',
    'studio.closed.text': 'Only the host and those whom they have invited talk in this Space. You are welcome to listen.',

    'create.title': 'Title',
    'create.record': 'Record this Space',
    'create.record.text': 'Off unless you turn it on. Everybody who enters is told, from the first moment. The recording can be replayed as soon as the Space ends, and you can delete it at any time.',
    'create.visibility': 'Who can listen',
    'create.topics.text': 'Up to three, with commas between them.',
    'create.language': 'Language spoken',
    'create.when': 'Announced for',
    'create.when.text': 'Leave it empty to begin now.',
    'create.capacity': 'Seats',
    'create.price': 'Price, as shown',
    'create.go': 'Continue to the studio',
    'language.none': 'Not said',

    'mic.title': 'Your microphone',
    'mic.text': 'Say a few words. Nobody hears you yet.',
    'mic.test': 'Test the microphone',
    'mic.off': 'It is off.',
    'mic.say': 'It is on. Say something.',
    'mic.heard': 'It works: you can be heard.',
    'mic.device': 'Microphone',
    'mic.denied': 'The browser does not let this page use the microphone. Allow it beside the address, then try again.',
    'mic.none': 'No microphone was found, or another program is using it.',

    'consent.on': 'What is said in this Space is recorded, and can be replayed afterwards.',
    'consent.off': 'This Space is not recorded: what is said is heard live, and then gone.',
    'consent.do': 'Record it after all',
    'consent.dont': 'Don’t record it',
    'deaf': 'This browser cannot play the others while you talk. Listen on another device, with headphones.',

    'me.mute': 'Mute yourself',
    'me.unmute': 'Unmute yourself',
    'me.muted': 'You are muted',
    'me.unmuted': 'You can be heard',
    'me.level': 'You',

    'health.connecting': 'Connecting…',
    'health.good': 'On the air. The connection is good.',
    'health.slow': 'On the air. Your connection is slow: some of what you say may come late.',
    'health.reconnecting': 'The connection was lost. Coming back into the same Space…',

    'invite': 'Invite a speaker',
    'invite.go': 'Make a link',
    'invite.text': 'Their name is what everybody in the room sees.',
    'invite.made': 'An invitation for {name}',
    'invite.made.text': 'Send them this link. It opens the studio and lets them talk.',
    'invite.link': 'Invitation',
    'invite.secret': 'It is shown only once. Whoever has it speaks as this person, so send it to nobody else.',

    'end': 'End the Space',
    'end.title': 'End this Space?',
    'end.text': 'It is over for everybody, and does not begin again. It was not recorded.',
    'end.recorded': 'It is over for everybody, and does not begin again. The recording can be replayed at once.',
    'leave': 'Leave',

    'after.title': 'That was it',
    'after.text': 'The recording is ready, from the first word to the last.',
    'after.page': 'Open its page',
    'delete.title': 'Delete this recording?',
    'delete.text': 'It is gone for everybody at once, and all links to it stop working. It is kept for review, out of everybody’s reach, and then erased.',

    'problem.offline': 'The server cannot be reached. Check your connection.',
    'problem.unknown': 'Something went wrong ({status}).',
    'problem.unauthorized': 'Log in first, or come back by your invitation.',
    'problem.forbidden': 'This is not open to you.',
    'problem.not-found': 'It does not exist, or it is not for you to see.',
    'problem.deleted': 'Its host has deleted the recording.',
    'problem.expired': 'The recording’s time is over.',
    'problem.hosting-off': 'You cannot host Spaces here yet.',
    'problem.recording-off': 'You cannot record Spaces here yet. Turn recording off to go on.',
    'problem.sold-out': 'All seats are taken.',
    'problem.speaking': 'You are connected already, maybe in another tab. Leave there first.',
    'problem.not-live': 'The host has not begun yet.',
    'problem.ended': 'The Space is over.',
    'problem.begun': 'Recording is settled once a Space is live.',
    'problem.no-room': 'There is no room left just now. Try again in a moment.',
    'problem.disk-low': 'There is too little space left to record. Turn recording off, or ask who runs this site.',
    'problem.redis': 'The server cannot look this up just now. Try again in a moment.',
    'problem.no-encoder': 'This browser cannot send Opus. Recent versions of Chrome, Edge, Firefox and Safari can.',
    'problem.no-webm': 'This browser can only send WebM, and this server does not take that yet. Use a recent Chrome, Edge, Firefox or Safari.',
};

const fr = {
    'brand': 'Spaces',
    'skip': 'Aller au contenu',
    'close': 'Fermer',
    'cancel': 'Annuler',
    'copy': 'Copier',
    'copied': 'Copié',
    'again': 'Réessayer',
    'loading': 'Chargement…',
    'offline': 'Vous êtes hors ligne. Le direct reviendra avec votre connexion.',
    'by': 'Animé par {name}',
    'topics': 'Thèmes',
    'volume': 'Volume',
    'languages': 'Langue de ces pages',
    'time.now': 'à l’instant',
    'footer': 'Des salons audio en direct, enregistrés et réécoutés avec nginx.',

    'nav.timeline': 'À l’écoute',
    'nav.studio': 'Ouvrir un Space',
    'studio': 'Studio',

    'login.title': 'Se connecter',
    'login.as': 'Vous êtes {name}. Changer',
    'login.name': 'Votre nom',
    'login.go': 'Continuer',
    'login.out': 'Se déconnecter',
    'login.first': 'Qui anime ?',
    'login.first.text': 'Un Space a un hôte. Connectez-vous, puis donnez-lui un titre.',
    'demo.title': 'Ceci est une démonstration.',
    'demo.text': 'Il n’y a pas de mot de passe : le nom saisi est cru, et n’importe qui peut saisir le même. Un vrai site met ici sa propre connexion.',

    'state.live': 'En direct',
    'state.scheduled': 'À venir',
    'state.ended': 'Terminé',

    'rec.will': 'Ce Space sera enregistré',
    'rec.now': 'Ce Space est en cours d’enregistrement',
    'rec.was': 'Ce Space a été enregistré',
    'rec.not': 'Ce Space n’est pas enregistré',
    'rec.short.scheduled': 'Sera enregistré',
    'rec.short.live': 'Enregistrement',
    'rec.short.ended': 'Enregistré',

    'timeline.title': 'À l’écoute',
    'timeline.lead': 'Des conversations en direct, puis aussi longtemps que leurs hôtes les gardent.',
    'timeline.live': 'En direct',
    'timeline.scheduled': 'À venir',
    'timeline.ended': 'Enregistrements',
    'timeline.more': 'Enregistrements plus anciens',
    'timeline.empty': 'Personne n’a encore parlé',
    'timeline.empty.text': 'Commencez : ouvrez un Space, il apparaît ici dès qu’il est en direct.',
    'timeline.none': 'Rien ne correspond',
    'timeline.none.text': 'Aucun Space n’a ce thème et cette langue.',
    'timeline.failed': 'La liste n’a pas pu être chargée',
    'timeline.back': 'Retour à la liste',
    'timeline.shown': ['Un Space affiché', '{n} Spaces affichés'],
    'filter': 'Filtrer',
    'filter.topic': 'Thème',
    'filter.language': 'Langue',
    'filter.any': 'Toutes les langues',
    'filter.clear': 'Effacer',
    'filter.by': 'Thème affiché : {topic}',

    'card.since': 'commencé {when}',
    'listeners': ['{n} auditeur', '{n} auditeurs'],
    'replays': ['{n} réécoute', '{n} réécoutes'],

    'visibility.public': 'Public',
    'visibility.public.text': 'Dans la liste, ouvert à tous.',
    'visibility.unlisted': 'Par lien seulement',
    'visibility.unlisted.text': 'Dans aucune liste. Seuls vos liens y mènent.',
    'visibility.ticketed': 'Avec un billet',
    'visibility.ticketed.text': 'Dans la liste, écouté avec un billet de votre part.',

    'player.of': 'Lecteur : {title}',
    'player.listen': 'Écouter',
    'player.listen.to': 'Écouter : {title}',
    'player.play': 'Lecture',
    'player.pause': 'Pause',
    'player.back': 'Reculer de 15 secondes',
    'player.forward': 'Avancer de 15 secondes',
    'player.seek': 'Position',
    'player.position': '{at} sur {length}',
    'player.speed': 'Vitesse',
    'player.speed.now': 'Vitesse {speed}',
    'player.who': 'Qui a parlé quand',
    'player.jumpto': '{name}, à partir de {at}',
    'player.cannot': 'Ce navigateur ne lit pas l’Ogg Opus. Téléchargez l’enregistrement, ou essayez un autre navigateur.',
    'player.failed': 'L’enregistrement n’a pas pu être lu.',
    'download': 'Télécharger',
    'share': 'Partager',
    'delete': 'Supprimer',
    'keys': 'Clavier',
    'keys.text': 'Espace ou K : lecture et pause. J et L, ou les flèches : 15 secondes en arrière et en avant. De 0 à 9 : aller à ce dixième. < et > : changer la vitesse.',

    'share.title': 'Le lien est copié',
    'share.here': 'Partager cet enregistrement',
    'share.link': 'Lien vers l’enregistrement',
    'share.link.hint': 'Il s’ouvre pour quiconque l’a, tant que l’enregistrement existe et que l’hôte ne le révoque pas.',
    'share.at': 'Lien vers cet instant, {at}',
    'share.listen': 'Inviter à écouter',
    'share.listen.link': 'Lien d’écoute',
    'share.listen.public': 'Tout le monde peut écouter avec, maintenant et plus tard.',
    'share.listen.unlisted': 'Ce lien contient une clé : il s’ouvre pour quiconque l’a.',
    'share.listen.ticketed': 'Ce lien est un billet, une place : envoyez-le à une seule personne, et faites-en un autre pour la suivante.',

    'live.listen': 'Écouter le direct',
    'live.listen.to': 'Écouter le direct : {title}',
    'live.stop': 'Arrêter',
    'live.start': 'Depuis le début',
    'live.now': 'Revenir au direct',
    'live.connecting': 'Connexion…',
    'live.reconnecting': 'La connexion est perdue. Elle revient…',
    'live.failed': 'Pas de connexion. Réessayez dans un instant.',
    'live.playing': 'Vous écoutez le direct',
    'live.playing.start': 'Vous écoutez depuis le début',
    'live.ended': 'Le Space est terminé',

    'waiting': 'L’hôte n’a pas encore commencé',
    'waiting.text': 'Laissez cette page ouverte : elle change d’elle-même dès que le Space est en direct.',

    'space.none': 'Ce Space n’existe pas',
    'space.gone': 'L’enregistrement a été supprimé',
    'space.gone.text': 'Son hôte l’a supprimé. Plus personne ne peut l’écouter, et ses liens ne marchent plus.',
    'space.expired': 'L’enregistrement a expiré',
    'space.expired.text': 'Son temps est passé, plus personne ne peut l’écouter.',
    'space.over': 'Ce Space est terminé',
    'space.over.text': 'Il n’a pas été enregistré : il n’y a rien à réécouter.',
    'space.failed': 'Le Space n’a pas pu être chargé',
    'space.ticket': 'Ce Space s’écoute avec un billet',
    'space.ticket.label': 'Votre billet',
    'space.ticket.go': 'Entrer',
    'space.until': 'Il peut être réécouté jusqu’au {day}.',

    'room': 'Dans la salle',
    'room.host': 'Hôte',
    'room.speaker': 'Intervenant',
    'room.speaking': 'Parle',
    'room.muted': 'Coupé par l’hôte',
    'room.mute': 'Couper',
    'room.mute.who': 'Couper le micro de {name}',
    'room.unmute': 'Rétablir',
    'room.unmute.who': 'Rétablir le micro de {name}',
    'room.remove': 'Exclure',
    'room.remove.who': 'Exclure {name}',
    'room.remove.text': 'La personne est coupée aussitôt, et son invitation ne marche plus.',
    'room.level': 'Les autres',

    'studio.start': 'Ouvrir un Space',
    'studio.another': 'Ouvrir un autre Space',
    'studio.open': 'Ouvrir le studio',
    'studio.new': 'Ouvrir un Space',
    'studio.new.text': 'Donnez-lui un nom, essayez votre micro, et passez en direct quand vous êtes prêt.',
    'studio.golive': 'Passer en direct',
    'studio.again': 'Continuer à parler',
    'studio.join': 'Entrer et parler',
    'studio.wait': 'L’hôte n’a pas encore commencé. Vous pourrez entrer dès qu’il le fera.',
    'studio.closed': 'Ce studio n’est pas le vôtre',
    'studio.closed.text': 'Seuls l’hôte et ses invités parlent dans ce Space. Vous pouvez l’écouter.',

    'create.title': 'Titre',
    'create.record': 'Enregistrer ce Space',
    'create.record.text': 'Désactivé tant que vous ne l’activez pas. Tous ceux qui entrent en sont prévenus, dès le premier instant. L’enregistrement se réécoute dès la fin, et vous pouvez le supprimer à tout moment.',
    'create.visibility': 'Qui peut écouter',
    'create.topics.text': 'Trois au plus, séparés par des virgules.',
    'create.language': 'Langue parlée',
    'create.when': 'Annoncé pour',
    'create.when.text': 'Laissez vide pour commencer maintenant.',
    'create.capacity': 'Places',
    'create.price': 'Prix affiché',
    'create.go': 'Continuer vers le studio',
    'language.none': 'Non précisée',

    'mic.title': 'Votre micro',
    'mic.text': 'Dites quelques mots. Personne ne vous entend encore.',
    'mic.test': 'Essayer le micro',
    'mic.off': 'Il est éteint.',
    'mic.say': 'Il est allumé. Dites quelque chose.',
    'mic.heard': 'Il marche : on vous entend.',
    'mic.device': 'Micro',
    'mic.denied': 'Le navigateur ne laisse pas cette page utiliser le micro. Autorisez-le près de l’adresse, puis réessayez.',
    'mic.none': 'Aucun micro trouvé, ou un autre programme l’utilise.',

    'consent.on': 'Ce qui est dit dans ce Space est enregistré, et peut être réécouté ensuite.',
    'consent.off': 'Ce Space n’est pas enregistré : ce qui est dit s’entend en direct, puis disparaît.',
    'consent.do': 'L’enregistrer finalement',
    'consent.dont': 'Ne pas l’enregistrer',
    'deaf': 'Ce navigateur ne peut pas jouer les autres pendant que vous parlez. Écoutez sur un autre appareil, au casque.',

    'me.mute': 'Couper votre micro',
    'me.unmute': 'Rétablir votre micro',
    'me.muted': 'Votre micro est coupé',
    'me.unmuted': 'On vous entend',
    'me.level': 'Vous',

    'health.connecting': 'Connexion…',
    'health.good': 'À l’antenne. La connexion est bonne.',
    'health.slow': 'À l’antenne. Votre connexion est lente : vos paroles peuvent arriver en retard.',
    'health.reconnecting': 'La connexion est perdue. Retour dans le même Space…',

    'invite': 'Inviter un intervenant',
    'invite.go': 'Créer un lien',
    'invite.text': 'Toute la salle verra ce nom.',
    'invite.made': 'Une invitation pour {name}',
    'invite.made.text': 'Envoyez-lui ce lien. Il ouvre le studio et lui donne la parole.',
    'invite.link': 'Invitation',
    'invite.secret': 'Elle n’est montrée qu’une fois. Quiconque l’a parle au nom de cette personne : ne l’envoyez à personne d’autre.',

    'end': 'Terminer le Space',
    'end.title': 'Terminer ce Space ?',
    'end.text': 'C’est fini pour tout le monde, et il ne reprendra pas. Il n’a pas été enregistré.',
    'end.recorded': 'C’est fini pour tout le monde, et il ne reprendra pas. L’enregistrement se réécoute aussitôt.',
    'leave': 'Quitter',

    'after.title': 'C’était tout',
    'after.text': 'L’enregistrement est prêt, du premier mot au dernier.',
    'after.page': 'Ouvrir sa page',
    'delete.title': 'Supprimer cet enregistrement ?',
    'delete.text': 'Il disparaît aussitôt pour tout le monde, et ses liens ne marchent plus. Il est gardé pour examen, hors de portée de tous, puis effacé.',

    'problem.offline': 'Le serveur ne répond pas. Vérifiez votre connexion.',
    'problem.unknown': 'Quelque chose n’a pas marché ({status}).',
    'problem.unauthorized': 'Connectez-vous d’abord, ou revenez par votre invitation.',
    'problem.forbidden': 'Cela ne vous est pas ouvert.',
    'problem.not-found': 'Cela n’existe pas, ou ne vous est pas destiné.',
    'problem.deleted': 'Son hôte a supprimé l’enregistrement.',
    'problem.expired': 'Le temps de l’enregistrement est passé.',
    'problem.hosting-off': 'Vous ne pouvez pas encore animer de Space ici.',
    'problem.recording-off': 'Vous ne pouvez pas encore enregistrer ici. Désactivez l’enregistrement pour continuer.',
    'problem.sold-out': 'Toutes les places sont prises.',
    'problem.speaking': 'Vous êtes déjà connecté, peut-être dans un autre onglet. Quittez-le d’abord.',
    'problem.not-live': 'L’hôte n’a pas encore commencé.',
    'problem.ended': 'Le Space est terminé.',
    'problem.begun': 'L’enregistrement ne change plus une fois le Space en direct.',
    'problem.no-room': 'Il n’y a plus de place pour l’instant. Réessayez dans un moment.',
    'problem.disk-low': 'Il reste trop peu d’espace pour enregistrer. Désactivez l’enregistrement, ou parlez-en à qui tient ce site.',
    'problem.redis': 'Le serveur ne peut pas répondre pour l’instant. Réessayez dans un moment.',
    'problem.no-encoder': 'Ce navigateur ne peut pas envoyer d’Opus. Les versions récentes de Chrome, Edge, Firefox et Safari le peuvent.',
    'problem.no-webm': 'Ce navigateur n’envoie que du WebM, que ce serveur ne prend pas encore. Prenez un Chrome, Edge, Firefox ou Safari récent.',
};

export const all = { en, fr };

let chosen = null;

export function language() {
    if (!chosen) {
        let kept = null;
        try {
            kept = localStorage.getItem('spaces.language');
        } catch {
            // then it is what the browser says
        }
        chosen = [kept, ...(globalThis.navigator?.languages ?? [])]
            .map((code) => (code ?? '').slice(0, 2).toLowerCase())
            .find((code) => code in languages) ?? 'en';
    }
    return chosen;
}

export function setLanguage(code) {
    try {
        localStorage.setItem('spaces.language', code);
    } catch {
        // for this page only
    }
    chosen = code;
}

export const has = (key) => key in en;

export function t(key, values = {}) {
    let text = all[language()][key] ?? en[key] ?? key;
    if (Array.isArray(text)) {
        const one = new Intl.PluralRules(language()).select(values.count) === 'one';
        text = text[one ? 0 : 1];
    }
    return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

// what stands in the page itself: data-t is its text, data-t-label its name
export function localize(document) {
    document.documentElement.lang = language();
    for (const element of document.querySelectorAll('[data-t]')) {
        element.textContent = t(element.dataset.t);
    }
    for (const element of document.querySelectorAll('[data-t-label]')) {
        element.setAttribute('aria-label', t(element.dataset.tLabel));
    }
}
