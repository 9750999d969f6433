// The chat page.
import "./chat/thread.js";
import "./chat/composer.js";
import "./chat/dock.js";
import "./chat/sidebar.js";
import "./chat/drawer.js";
import "./chat/temporary.js";
import { socket } from "./live/socket.js";

socket.connect();
